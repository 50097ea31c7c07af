using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;

namespace Sluice.Server.Endpoints;

/// <summary>
/// The way of every request: id, host, origin, key, path, method, endpoint. Every refusal on it is a JSON error object, which a
/// framework's own 404 or 405 would not be; and no path is answered with a redirect, which would lose a body.
/// </summary>
internal sealed partial class ApiDispatcher(
    Hub hub,
    ChatCompletionsEndpoint chat,
    StoredCompletionsEndpoint stored,
    HealthEndpoint health,
    MetricsEndpoint metrics,
    ServerState server,
    RandomSource random,
    TimeProvider time,
    ILogger<ApiDispatcher> logger)
{
    private const string ModelPrefix = "/v1/models/";

    // Of every line that is logged on the way of the request, also those that don't name it.
    private static readonly Func<ILogger, string, IDisposable?> s_scope = LoggerMessage.DefineScope<string>("RequestId:{RequestId}");


    public async Task InvokeAsync(HttpContext context)
    {
        var scope = new RequestScope(time, random.NextId(time.GetUtcNow()), hub.Hold());
        using var lines = s_scope(logger, scope.RequestId);
        scope.Attach(context.Response);
        // So that the next request goes to whoever takes over. HTTP/2 has a frame for that, which the server of the connections sends.
        if (server.IsStopping && HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
        try
        {
            await DispatchAsync(context, scope, Normalize(context.Request.Path.Value ?? ""));
        }
        catch (ConnectionResetException)
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
        }
        LogRequest(scope.RequestId, context.Request.Method, context.Request.Path.ToUriComponent(), context.Response.StatusCode, (long)scope.Elapsed.TotalMilliseconds);
    }

    private Task DispatchAsync(HttpContext context, RequestScope scope, string path)
    {
        var configuration = scope.Configuration;
        // Probes come from anywhere and learn nothing.
        if (path is "/healthz" or "/readyz")
            return OnGet(context, path == "/healthz" ? health.WriteHealthAsync : c => health.WriteReadinessAsync(c, configuration.Catalog));
        if (configuration.Hosts.Check(context.Request) is { } wrongHost) return JsonReply.WriteErrorAsync(context, wrongHost);

        var isReadable = configuration.Origins.Apply(context);
        if (HttpMethods.IsOptions(context.Request.Method)) return AnswerOptionsAsync(context, isReadable);
        if (configuration.Keys.Check(context.Request) is { } wrongKey) return JsonReply.WriteErrorAsync(context, wrongKey);

        return path switch
        {
            "/v1/chat/completions" => OnPost(context, c => chat.InvokeAsync(c, scope)),
            "/v1/cancel" => OnPost(context, stored.CancelByKeyAsync),
            _ when path.StartsWith(AnswerReply.CompletionPath, StringComparison.Ordinal) => OnCompletion(context, path[AnswerReply.CompletionPath.Length..], configuration),
            "/metrics" => OnGet(context, metrics.WriteAsync),
            "/v1/models" => OnGet(context, c => ModelsEndpoint.WriteListAsync(c, configuration.Catalog)),
            _ when path.StartsWith(ModelPrefix, StringComparison.Ordinal) =>
                OnGet(context, c => ModelsEndpoint.WriteModelAsync(c, configuration.Catalog, Uri.UnescapeDataString(path[ModelPrefix.Length..]))),
            _ => JsonReply.WriteErrorAsync(context, ApiErrors.InvalidUrl(context.Request.Method, context.Request.Path.Value ?? "")),
        };
    }

    private static Task AnswerOptionsAsync(HttpContext context, bool isReadable)
    {
        if (!isReadable)
            return JsonReply.WriteErrorAsync(context, ApiErrors.Forbidden($"The origin '{context.Request.Headers.Origin}' is not known here. Add it to cors_origins to use it.", "origin_not_allowed"));
        CrossOrigin.ApplyPreflight(context);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private Task OnCompletion(HttpContext context, string rest, HubSnapshot configuration)
    {
        const string Cancel = "/cancel";
        var method = context.Request.Method;
        if (rest.EndsWith(Cancel, StringComparison.Ordinal)) return OnPost(context, c => stored.CancelAsync(c, rest[..^Cancel.Length]));
        if (rest.Contains('/', StringComparison.Ordinal)) return JsonReply.WriteErrorAsync(context, ApiErrors.InvalidUrl(method, context.Request.Path.Value ?? ""));
        if (HttpMethods.IsDelete(method)) return stored.DeleteAsync(context, rest);
        return HttpMethods.IsGet(method) || HttpMethods.IsHead(method) ? stored.GetAsync(context, rest, configuration) : RefuseMethodAsync(context, "GET, DELETE");
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

    // A base URL with a slash at its end gives "//", and some clients add one themselves.
    private static string Normalize(string path)
    {
        while (path.Contains("//", StringComparison.Ordinal)) path = path.Replace("//", "/", StringComparison.Ordinal);
        return path.Length > 1 ? path.TrimEnd('/') : path;
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

    [LoggerMessage(1, LogLevel.Information, "{RequestId} {Method} {Path} {Status} {Milliseconds} ms")]
    private partial void LogRequest(string requestId, string method, string path, int status, long milliseconds);

    [LoggerMessage(2, LogLevel.Error, "{RequestId} failed")]
    private partial void LogFault(Exception error, string requestId);
}
