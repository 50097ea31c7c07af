using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Messages;
using Sluice.Protocol.Ollama;
using Sluice.Protocol.Responses;
using Sluice.Server.Access;
using Sluice.Server.Cluster;
using Sluice.Server.Configuration;
using Sluice.Server.Console;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Transport;

namespace Sluice.Server.Endpoints;

/// <summary>
/// The way of every request: id, host, origin, key, path, method, endpoint. Every refusal on it is a JSON error object, which a
/// framework's own 404 or 405 would not be; and no path is answered with a redirect, which would lose a body.
/// </summary>
internal sealed partial class ApiDispatcher(
    Hub hub,
    AnswersEndpoint answers,
    CountTokensEndpoint counts,
    StoredCompletionsEndpoint stored,
    ResponsesEndpoint responses,
    HealthEndpoint health,
    MetricsEndpoint metrics,
    KeyEndpoint keys,
    OllamaEndpoint ollama,
    AdminEndpoint admin,
    EmbeddingOptions embedding,
    ServerState server,
    RandomSource random,
    TimeProvider time,
    ILogger<ApiDispatcher> logger,
    ConsoleEndpoint? console = null,
    PeerEndpoint? peers = null)
{
    /// <summary>What the paths of the API begin with.</summary>
    public const string ApiPath = "/v1";

    /// <summary>Where it is asked whether the process lives.</summary>
    public const string HealthPath = "/healthz";

    /// <summary>Where it is asked whether it can answer.</summary>
    public const string ReadinessPath = "/readyz";

    /// <summary>Where metrics are.</summary>
    public const string MetricsPath = "/metrics";

    /// <summary>Name of the route's parameter that has what comes behind <see cref="ApiPath"/>.</summary>
    public const string RestOfPath = "sluicePath";

    private const string WarmUpPath = "/api/hello";
    private const string ModelPrefix = ApiPath + "/models/";

    private static readonly string[] s_apiRoots = [.. Dialects.All.Where(static dialect => dialect.Path.StartsWith(ApiPath, StringComparison.Ordinal)).Select(static dialect => dialect.Path[ApiPath.Length..]), "/models", "/key"];

    // Of every line that is logged on the way of the request, also those that don't name it.
    private static readonly Func<ILogger, string, IDisposable?> s_scope = LoggerMessage.DefineScope<string>("RequestId:{RequestId}");

    /// <summary>Where the hub owns every path.</summary>
    public Task InvokeAsync(HttpContext context) =>
        InvokeAsync(context, WithApiPath(context.Request.Path.Value ?? ""), context.Request.PathBase.ToUriComponent());

    /// <summary>Where the application has mapped one of the hub's paths, whatever it is called there.</summary>
    public Task InvokeAsync(HttpContext context, string path) => InvokeAsync(context, path, "");

    /// <summary>Where the application has mapped <see cref="ApiPath"/> and all below it, maybe behind a prefix.</summary>
    public Task InvokeMappedAsync(HttpContext context)
    {
        var rest = context.GetRouteValue(RestOfPath) as string ?? "";
        return InvokeAsync(context, $"{ApiPath}/{rest}", FindMount(context.Request, rest));
    }

    private async Task InvokeAsync(HttpContext context, string path, string mount)
    {
        var scope = new RequestScope(time, random, hub.Hold()) { Mount = mount };
        var seat = context.Features.Get<ConnectionBound.Seat>();
        seat?.Enter();
        using var lines = s_scope(logger, scope.RequestId);
        scope.Attach(context.Response);
        context.Features.Set(scope);
        // So that the next request goes to whoever takes over. HTTP/2 has a frame for that, which the server of the connections sends.
        if (server.IsStopping && HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
        // Kestrel may have a least rate within another application, which a stream that pauses and a client that reads slowly can't hold.
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate) rate.MinDataRate = null;
        try
        {
            // Tables, files and what is kept; an answer's own way is short enough for the thread that its request came in on.
            if (!HttpMethods.IsPost(context.Request.Method)) await ReactorThread.LeaveAsync();
            path = Normalize(path);
            await DispatchAsync(context, scope, path);
        }
        catch (IOException error) when (RequestBody.HasLeft(error, context))
        {
            // Nobody is there to be told. Without the abort Kestrel tries to read the rest of the request, and logs as an error that it can't.
            if (!context.Response.HasStarted) context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            context.Abort();
        }
        catch (OperationCanceledException)
        {
            // The client has left, and nobody is there to be told; or the hub stops. Nothing went wrong.
            if (!context.RequestAborted.IsCancellationRequested) await FailAsync(context, ServerState.StoppingError);
        }
        catch (BadHttpRequestException error)
        {
            await FailAsync(context, ApiErrors.UnparsableBody() with { Status = error.StatusCode, Message = error.Message });
        }
#pragma warning disable CA1031 // The one place where a fault of ours becomes a 500: without it the client would get no JSON and the log no request id.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFault(error, scope.RequestId);
            await FailAsync(context, ApiErrors.ServerError());
        }
        finally
        {
            scope.Configuration.Release();
            seat?.Leave();
        }
        var (method, target, status) = (context.Request.Method, context.Request.Path.ToUriComponent(), context.Response.StatusCode);
        var (milliseconds, details) = ((long)scope.Elapsed.TotalMilliseconds, RequestLine.Details(scope));
        // Probes come every few seconds, and say nothing new; and so does a console that is looked at.
        if (path is HealthPath or ReadinessPath or MetricsPath || (console is not null && path.StartsWith(ConsoleFiles.Prefix, StringComparison.Ordinal))) LogProbe(scope.RequestId, method, target, status, milliseconds, details);
        else LogRequest(scope.RequestId, method, target, status, milliseconds, details);
    }

    private Task DispatchAsync(HttpContext context, RequestScope scope, string path)
    {
        var configuration = scope.Configuration;
        // By an address of their own, where nothing else is served.
        if (context.Features.Get<AdminDoor>() is { } entrance && path is not (HealthPath or ReadinessPath)) return DispatchAdminAsync(context, path, entrance, configuration);
        if (peers is not null && context.Features.Get<PeerDoor>() is not null) return peers.InvokeAsync(context, path);
        // Probes come from anywhere and learn nothing.
        if (path is HealthPath or ReadinessPath)
            return OnGet(context, path == HealthPath ? health.WriteHealthAsync : c => health.WriteReadinessAsync(c, configuration.Catalog));
        // Agents warm up a connection so, and any status will do.
        if (HttpMethods.IsHead(context.Request.Method) && path is "/" or WarmUpPath)
        {
            // Ollama's program asks so whether somebody is there.
            context.Response.StatusCode = path == "/" ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }
        var isAnthropic = context.Request.Headers.ContainsKey("anthropic-version");
        var door = Dialects.FindByPath(path, out _) ?? (isAnthropic ? MessagesDialect.Instance : OllamaEndpoint.IsAt(path) ? OllamaDialect.Chat : null);
        if (door is not null) Door.Set(context, door, scope.RequestId);
        if (configuration.Hosts.Check(context.Request) is { } wrongHost) return JsonReply.WriteErrorAsync(context, wrongHost);
        // The page asks for the key itself.
        if (console?.HasFile(path) == true) return console.WriteFileAsync(context, path);

        // Where the application has a policy of its own for these paths, its middleware has applied it.
        var isReadable = context.GetEndpoint()?.Metadata.GetMetadata<ICorsMetadata>() is not null || configuration.Origins.Apply(context);
        if (HttpMethods.IsOptions(context.Request.Method)) return AnswerOptionsAsync(context, isReadable);
        if (configuration.Tokens is { } tokens && ApiKeys.FindKey(context.Request) is { } bearer && TokenKeys.IsToken(bearer))
            return DispatchTokenAsync(context, scope, path, tokens, bearer);
        var (caller, refused) = Identify(context, configuration);
        if (refused is not null) return JsonReply.WriteErrorAsync(context, refused);
        scope.Caller = caller!;
        return DispatchPathAsync(context, scope, path);
    }

    private Task DispatchAdminAsync(HttpContext context, string path, AdminDoor entrance, HubSnapshot configuration)
    {
        if (console?.HasFile(path) == true) return console.WriteFileAsync(context, path);
        if (console is null || !ConsoleEndpoint.IsApi(path)) return admin.InvokeAsync(context, path, entrance);
        return entrance.FindRefusal(context.Request) is { } refused
            ? JsonReply.WriteErrorAsync(context, refused)
            : console.InvokeAsync(context, path, configuration, caller: null);
    }

    private async Task DispatchTokenAsync(HttpContext context, RequestScope scope, string path, TokenKeys tokens, string bearer)
    {
        var (caller, refused) = await tokens.IdentifyAsync(bearer, context.Request);
        if (refused is not null)
        {
            await JsonReply.WriteErrorAsync(context, refused);
            return;
        }
        scope.Caller = caller!;
        await DispatchPathAsync(context, scope, path);
    }

    private Task DispatchPathAsync(HttpContext context, RequestScope scope, string path)
    {
        var configuration = scope.Configuration;
        return path switch
        {
            _ when OllamaEndpoint.IsAt(path) => OllamaEndpoint.ReadsOnly(path) ? OnGet(context, c => ollama.InvokeAsync(c, scope, path)) : OnPost(context, c => ollama.InvokeAsync(c, scope, path)),
            _ when Dialects.FindByPath(path, out var rest) is { } dialect => OnDoor(context, dialect, rest, scope),
            "/v1/cancel" => OnPost(context, c => stored.CancelByKeyAsync(c, scope)),
            "/v1/key" => OnGet(context, c => keys.WriteAsync(c, scope.Caller)),
            MetricsPath => OnGet(context, metrics.WriteAsync),
            _ when console is not null && ConsoleEndpoint.IsApi(path) => console.InvokeAsync(context, path, configuration, scope.Caller),
            "/v1/models" => OnGet(context, c => ModelsEndpoint.WriteListAsync(c, configuration.Catalog, scope.Caller)),
            _ when path.StartsWith(ModelPrefix, StringComparison.Ordinal) =>
                OnGet(context, c => ModelsEndpoint.WriteModelAsync(c, configuration.Catalog, scope.Caller, Uri.UnescapeDataString(path[ModelPrefix.Length..]))),
            _ => JsonReply.WriteErrorAsync(context, UnknownPath.Refuse(context.Request.Method, context.Request.Path.Value ?? "")),
        };
    }

    // Keys say whether a request may pass, also in an application; there its user says whose the answers are, for many may bear one key.
    private (Caller? Caller, ApiError? Error) Identify(HttpContext context, HubSnapshot configuration)
    {
        var (caller, error) = configuration.Keys.Identify(context.Request, time.GetUtcNow());
        if (error is not null) return (null, error);
        var (user, unknown) = UserOwner.Find(context.User, embedding.OwnerClaim);
        return (user is null ? caller : configuration.Keys.CreateUser(user.Id, caller!), unknown);
    }

    private static Task AnswerOptionsAsync(HttpContext context, bool isReadable)
    {
        if (!isReadable)
            return JsonReply.WriteErrorAsync(context, ApiErrors.Forbidden($"The origin '{context.Request.Headers.Origin}' is not known here. Add it to cors_origins to use it.", "origin_not_allowed"));
        CrossOrigin.ApplyPreflight(context);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    // The door itself, or an answer below it.
    private Task OnDoor(HttpContext context, AnswerDialect dialect, string rest, RequestScope scope)
    {
        const string Items = "/input_items";
        // A batch is not an answer, and what is not kept has no id.
        if (rest.Length > 0 && (!dialect.IsKept || (dialect is MessagesDialect && (rest + "/").StartsWith("batches/", StringComparison.Ordinal))))
            return JsonReply.WriteErrorAsync(context, UnknownPath.Refuse(context.Request.Method, context.Request.Path.Value ?? ""));
        if (rest.Length > 0 && CountTokensEndpoint.IsAt(dialect, rest)) return OnPost(context, c => counts.InvokeAsync(c, scope, dialect));
        if (rest.Length > 0)
        {
            return dialect is ResponsesDialect && rest.EndsWith(Items, StringComparison.Ordinal)
                ? OnGet(context, c => responses.WriteInputItemsAsync(c, rest[..^Items.Length], scope.Caller))
                : OnAnswer(context, rest, scope);
        }
        return context.Request.Headers.Upgrade.Count > 0 && HttpMethods.IsGet(context.Request.Method)
            ? ResponsesEndpoint.RefuseWebSocketAsync(context)
            : OnPost(context, c => answers.InvokeAsync(c, scope, dialect));
    }

    private Task OnAnswer(HttpContext context, string rest, RequestScope scope)
    {
        const string Cancel = "/cancel";
        var method = context.Request.Method;
        if (rest.EndsWith(Cancel, StringComparison.Ordinal))
            return OnPost(context, c => stored.CancelAsync(c, rest[..^Cancel.Length], scope));
        if (rest.Contains('/', StringComparison.Ordinal)) return JsonReply.WriteErrorAsync(context, UnknownPath.Refuse(method, context.Request.Path.Value ?? ""));
        if (HttpMethods.IsDelete(method)) return stored.DeleteAsync(context, rest, scope.Caller);
        return HttpMethods.IsGet(method) || HttpMethods.IsHead(method)
            ? stored.GetAsync(context, rest, scope)
            : RefuseMethodAsync(context, "GET, DELETE");
    }

    private static Task OnPost(HttpContext context, RequestDelegate endpoint) =>
        HttpMethods.IsPost(context.Request.Method) ? endpoint(context) : RefuseMethodAsync(context, "POST");

    private static Task OnGet(HttpContext context, RequestDelegate endpoint) =>
        HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method) ? endpoint(context) : RefuseMethodAsync(context, "GET");

    private static Task RefuseMethodAsync(HttpContext context, string allowed)
    {
        context.Response.Headers.Allow = allowed;
        return JsonReply.WriteErrorAsync(context, ApiErrors.MethodNotAllowed(allowed));
    }

    // A base URL without "/v1" is a slip that means only one thing.
    private static string WithApiPath(string path)
    {
        var normal = Normalize(path);
        foreach (var root in s_apiRoots)
        {
            if (normal.StartsWith(root, StringComparison.Ordinal) && (normal.Length == root.Length || normal[root.Length] == '/')) return ApiPath + normal;
        }
        return normal;
    }

    // A base URL with a slash at its end gives "//", and some clients add one themselves.
    private static string Normalize(string path)
    {
        while (path.Contains("//", StringComparison.Ordinal)) path = path.Replace("//", "/", StringComparison.Ordinal);
        return path.Length > 1 ? path.TrimEnd('/') : path;
    }

    // What the application puts before the hub's paths: a path base, and the prefix of a group.
    private static string FindMount(HttpRequest request, string rest)
    {
        var path = (request.Path.Value ?? "").AsSpan();
        if (!path.EndsWith(rest, StringComparison.Ordinal)) return request.PathBase.ToUriComponent();
        var prefix = path[..^rest.Length].TrimEnd('/');
        if (!prefix.EndsWith(ApiPath, StringComparison.OrdinalIgnoreCase)) return request.PathBase.ToUriComponent();
        return request.PathBase.Add(new PathString(prefix[..^ApiPath.Length].ToString())).ToUriComponent();
    }

    private static async Task FailAsync(HttpContext context, ApiError error)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }
        context.Response.Headers.ContentLength = null;
        await JsonReply.WriteErrorAsync(context, error);
    }

    [LoggerMessage(3, LogLevel.Debug, "{RequestId} {Method} {Path} {Status} {Milliseconds} ms{Details}")]
    private partial void LogProbe(string requestId, string method, string path, int status, long milliseconds, string details);

    [LoggerMessage(1, LogLevel.Information, "{RequestId} {Method} {Path} {Status} {Milliseconds} ms{Details}")]
    private partial void LogRequest(string requestId, string method, string path, int status, long milliseconds, string details);

    [LoggerMessage(2, LogLevel.Error, "{RequestId} failed")]
    private partial void LogFault(Exception error, string requestId);
}
