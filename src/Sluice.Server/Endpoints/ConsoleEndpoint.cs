using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Console;
using Sluice.Server.Serving;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>
/// The console: its page and files, which anybody gets and which hold nothing of this hub; and what the page asks for below
/// <see cref="ApiPrefix"/>, with the same keys as everything else.
/// </summary>
internal sealed class ConsoleEndpoint(ConsoleFiles files, HubView hub, AnswersView answers, AnswerTable table, TimeProvider time)
{
    /// <summary>What the paths begin with that the page asks for.</summary>
    public const string ApiPrefix = ConsoleFiles.Prefix + "api/";

    // Ids that a page knows, between commas.
    private const string KnownAnswersName = "Sluice-Known-Answers";

    // Only files of this origin run or are shown, only this origin is asked, no other page can frame the console, and no text ever becomes
    // markup: with Trusted Types and no policy for them, the browser itself refuses.
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    /// <summary>Whether a path is the page, or a file of it.</summary>
    public bool HasFile(string path) => files.TryFind(path, out _);

    /// <summary>Whether a path is one that the page asks for.</summary>
    public static bool IsApi(string path) => path.StartsWith(ApiPrefix, StringComparison.Ordinal);

    /// <summary>Sends a file. A browser asks every time whether it has changed, so a new version of the hub counts at once.</summary>
    public async Task WriteFileAsync(HttpContext context, string path)
    {
        var (request, response) = (context.Request, context.Response);
        if (!files.TryFind(path, out var file) || !(HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method)))
        {
            response.Headers.Allow = "GET";
            await JsonReply.WriteErrorAsync(context, ApiErrors.MethodNotAllowed("GET"));
            return;
        }
        var headers = response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()";
        headers.CacheControl = "no-cache";
        headers.ETag = file.ETag;
        if (request.Headers.IfNoneMatch.ToString().Contains(file.ETag, StringComparison.Ordinal))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        response.ContentType = file.ContentType;
        response.ContentLength = file.Bytes.Length;
        if (HttpMethods.IsGet(request.Method)) await response.BodyWriter.WriteAsync(file.Bytes, context.RequestAborted);
    }

    /// <summary>Answers what the page asks for.</summary>
    /// <param name="context">Its host, and the caller's key, have been checked.</param>
    /// <param name="path">Begins with <see cref="ApiPrefix"/>.</param>
    /// <param name="configuration">Held by the request.</param>
    /// <param name="caller">Who asks; null for an administrator.</param>
    public Task InvokeAsync(HttpContext context, string path, HubSnapshot configuration, Caller? caller)
    {
        if (FindForeign(context.Request) is { } foreign) return JsonReply.WriteErrorAsync(context, foreign);
        context.Response.Headers.CacheControl = "no-store";
        var (rest, method) = (path[ApiPrefix.Length..], context.Request.Method);
        if (caller is null && HttpMethods.IsPost(method) && rest.Split('/') is ["answers", var id, "cancel"]) return CancelAsync(context, Uri.UnescapeDataString(id));
        if (!HttpMethods.IsGet(method)) return JsonReply.WriteErrorAsync(context, ApiErrors.InvalidUrl(method, path));
        return rest switch
        {
            "hub" => WriteAsync(context, json => WriteHub(json, configuration, caller)),
            "answers" => WriteAsync(context, json => answers.Write(json, caller, IdsFor(context.Request, configuration, caller))),
            "health" => WriteAsync(context, json => hub.WriteHealth(json, configuration, caller)),
            _ => JsonReply.WriteErrorAsync(context, ApiErrors.InvalidUrl(method, path)),
        };
    }

    private void WriteHub(Utf8JsonWriter json, HubSnapshot configuration, Caller? caller)
    {
        json.WriteString("role"u8, caller is null ? "admin"u8 : "caller"u8);
        json.WriteBoolean("keys"u8, configuration.Options.HasKeys || caller?.Id.Length > 0);
        json.WriteNumber("time"u8, time.GetUtcNow().ToUnixTimeSeconds());
        HubView.WriteModels(json, configuration, caller);
    }

    private async Task CancelAsync(HttpContext context, string id)
    {
        if (table.FindById(id) is not { } answer)
        {
            await JsonReply.WriteErrorAsync(context, ApiErrors.CompletionNotFound(id));
            return;
        }
        answer.Cancel(CancellationCause.Requested);
        await WriteAsync(context, json => json.WriteString("state"u8, answer.State));
    }

    // Pages of this machine may read the API, whose answers they would have to know the ids of. This is where the ids are.
    private static ApiError? FindForeign(HttpRequest request)
    {
        var origin = request.Headers.Origin.ToString();
        if (origin.Length == 0) return null;
        var isOwn = Uri.TryCreate(origin, UriKind.Absolute, out var uri)
            && uri.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase);
        return isOwn ? null : ApiErrors.Forbidden("The console's own data are for its own page only.", "origin_not_allowed");
    }

    // Where nobody has a key, an id is all that it takes to read an answer. Where a request comes from says nothing: a proxy on this machine
    // makes everybody a neighbour. So the page gets the ids that it names, which it has from its own answers. Null for all.
    private static HashSet<string>? IdsFor(HttpRequest request, HubSnapshot configuration, Caller? caller) =>
        caller is null || configuration.Options.HasKeys || caller.Id.Length > 0
            ? null
            : [.. request.Headers[KnownAnswersName].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(ConsoleLimits.AnswersMax)];

    private static Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return JsonReply.WriteAsync(context, body.WrittenMemory);
    }
}
