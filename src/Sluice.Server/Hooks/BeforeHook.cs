using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;

namespace Sluice.Server.Hooks;

/// <summary>
/// Asks before an answer is made: the hook lets the request pass, refuses it, or gives another one in its place. What happens without a
/// valid reply is configured. Thread-safe.
/// </summary>
internal sealed partial class BeforeHook(HookLink link, Limits limits, ILogger<BeforeHook> logger)
{
    private const int MessageCharacters = 1000;

    // Of the object around a request.
    private const int EnvelopeBytes = 64 << 10;

    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
    private int _callCount;

    /// <summary>Asks about a request that is valid as far as the hub looks at it.</summary>
    /// <param name="hook">Whom.</param>
    /// <param name="subject">Of the request.</param>
    /// <param name="request">Its body.</param>
    /// <param name="take">Takes a body that the hook gives in its place; returns what is wrong with it, and null for nothing.</param>
    /// <param name="cancellation">The client has left.</param>
    /// <returns>Why it is refused; null where it passes, changed or not.</returns>
    public async Task<ApiError?> AskAsync(
        HookOptions hook, HookSubject subject, ReadOnlyMemory<byte> request, Func<ReadOnlyMemory<byte>, string?> take, CancellationToken cancellation)
    {
        // What a hook reads otherwise than the model could pass it: a byte order mark, a character cut in two, a member that is there twice.
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(request), out var document)) return ApiErrors.UnparsableBody();
        using var read = document;
        var started = link.GetTimestamp();
        var (error, outcome, problem) = ((ApiError?)null, "failed", (string?)"too many requests wait for it");
        try
        {
            if (Interlocked.Increment(ref _callCount) <= limits.HookCallsMax)
            {
                var reply = await link.CallAsync(hook, Write(subject, document.RootElement, request.Length), limits.RequestBodyBytes + EnvelopeBytes, cancellation);
                (error, outcome, problem) = reply.Problem is { } unanswered ? Failed(unanswered) : Read(reply.Body, take);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _callCount);
        }
        if (problem is not null)
        {
            var passes = hook.OnFailure == HookFailure.Pass;
            LogFailed(subject.RequestId, hook.Url, problem, passes ? "passes" : "is refused");
            if (!passes) error = HookErrors.Unavailable();
        }
        link.Count(HookLink.Before, outcome, started);
        return error;
    }

    private static ReadOnlyMemory<byte> Write(HookSubject subject, JsonElement request, int bytes)
    {
        var output = new ArrayBufferWriter<byte>(bytes + 512);
        using var writer = new Utf8JsonWriter(output, s_writing);
        writer.WriteStartObject();
        writer.WriteString("hook"u8, HookLink.Before);
        subject.WriteTo(writer);
        writer.WritePropertyName("request"u8);
        request.WriteTo(writer);
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenMemory;
    }

    private (ApiError? Error, string Outcome, string? Problem) Read(ReadOnlyMemory<byte> reply, Func<ReadOnlyMemory<byte>, string?> take)
    {
        if (reply.IsEmpty) return (null, "passed", null);
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(reply), out var document)) return Failed("its reply is not valid JSON");
        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) return Failed("its reply is not a JSON object");
            switch (TextOf(root, "action"))
            {
                case "pass":
                    return (null, "passed", null);
                case "refuse":
                    return ReadRefusal(root);
                case "change":
                    if (!root.TryGetProperty("request"u8, out var request) || request.ValueKind != JsonValueKind.Object) return Failed("it changes the request, but 'request' is not an object");
                    var body = new ArrayBufferWriter<byte>();
                    using (var writer = new Utf8JsonWriter(body, s_writing)) request.WriteTo(writer);
                    if (body.WrittenCount > limits.RequestBodyBytes) return Failed("the changed request is too large");
                    return take(body.WrittenMemory) is { } wrong ? Failed(wrong) : (null, "changed", null);
                default:
                    return Failed("its 'action' is not one of pass, refuse, change");
            }
        }
    }

    private static (ApiError? Error, string Outcome, string? Problem) ReadRefusal(JsonElement root)
    {
        var status = 403;
        if (root.TryGetProperty("status"u8, out var given) && !(given.ValueKind == JsonValueKind.Number && given.TryGetInt32(out status) && status is >= 400 and < 500))
            return Failed("the 'status' of its refusal is not between 400 and 499");
        if (TextOf(root, "message") is not { Length: > 0 } message) return Failed("its refusal has no 'message'");
        if (message.Length > MessageCharacters) message = message[..MessageCharacters];
        return (HookErrors.Refused(status, message, TextOf(root, "code") is { Length: > 0 } code ? ApiErrors.Elide(code) : null), "refused", null);
    }

    private static (ApiError? Error, string Outcome, string? Problem) Failed(string problem) => (null, "failed", problem);

    private static string? TextOf(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    [LoggerMessage(1, LogLevel.Warning, "{RequestId}: the hook {Url} gives no valid reply: {Problem}. The request {Becomes}.")]
    private partial void LogFailed(string? requestId, string url, string problem, string becomes);
}
