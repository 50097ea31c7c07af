using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Storage;

namespace Sluice.Server.Endpoints;

/// <summary>A place in a stream.</summary>
/// <param name="Id">Of the completion; null where the request says otherwise which it is.</param>
/// <param name="Position">Events that the client has.</param>
internal readonly record struct Cursor(string? Id, long Position);

/// <summary>What a request says about its connection, beside what it asks.</summary>
/// <param name="Key"><c>Idempotency-Key</c>, without quotation marks.</param>
/// <param name="Cursor"><c>Last-Event-ID</c>: <c>{n}</c> or <c>{id}:{n}</c>.</param>
/// <param name="WantsEventIds"><c>Sluice-Event-Ids: 1</c>.</param>
/// <param name="OnDisconnect"><c>Sluice-On-Disconnect: cancel | continue</c>.</param>
internal sealed record ResumeHeaders(string? Key, Cursor? Cursor, bool WantsEventIds, DisconnectPolicy OnDisconnect)
{
    /// <summary><c>Sluice-Store: off</c>: nothing of the answer is kept beyond those who read it.</summary>
    public bool IsStoreOff { get; init; }

    private const string KeyName = "Idempotency-Key";
    private const string CursorName = "Last-Event-ID";
    private const string EventIdsName = "Sluice-Event-Ids";
    private const string StoreName = "Sluice-Store";
    private const string OnDisconnectName = "Sluice-On-Disconnect";
    private const int KeyLengthMax = 255;
    private static readonly ResumeHeaders s_none = new(null, null, false, DisconnectPolicy.Default);

    /// <summary>The headers, or what is wrong with them.</summary>
    public static (ResumeHeaders Headers, ApiError? Error) Read(HttpRequest request)
    {
        var headers = s_none;
        if (request.Headers.TryGetValue(KeyName, out var keys))
        {
            var key = keys.ToString().Trim();
            if (key.Length >= 2 && key[0] == '"' && key[^1] == '"') key = key[1..^1];
            if (key.Length is 0 or > KeyLengthMax || key.Any(static letter => letter is <= ' ' or >= (char)0x7F))
                return (s_none, ApiErrors.InvalidHeader(KeyName, $"1 to {KeyLengthMax} visible ASCII characters"));
            headers = headers with { Key = key };
        }
        // A browser that has no id to name sends none, or an empty one.
        if (request.Headers.TryGetValue(CursorName, out var cursors) && cursors.ToString().Trim() is { Length: > 0 } cursor)
        {
            if (ReadCursor(cursor) is not { } read) return (s_none, ApiErrors.InvalidCursor($"The header {CursorName} must be a number of events, or the id of a completion, a colon and such a number."));
            headers = headers with { Cursor = read };
        }
        if (request.Headers.TryGetValue(EventIdsName, out var ids))
        {
            if (ids != "1") return (s_none, ApiErrors.InvalidHeader(EventIdsName, "'1'"));
            headers = headers with { WantsEventIds = true };
        }
        if (request.Headers.TryGetValue(OnDisconnectName, out var policies))
        {
            DisconnectPolicy? policy = policies.ToString() switch { "cancel" => DisconnectPolicy.Cancel, "continue" => DisconnectPolicy.Continue, _ => null };
            if (policy is null) return (s_none, ApiErrors.InvalidHeader(OnDisconnectName, "'cancel' or 'continue'"));
            headers = headers with { OnDisconnect = policy.Value };
        }
        if (request.Headers.TryGetValue(StoreName, out var store))
        {
            if (store != "off") return (s_none, ApiErrors.InvalidHeader(StoreName, "'off'"));
            headers = headers with { IsStoreOff = true };
        }
        return (headers, null);
    }

    private static Cursor? ReadCursor(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon == 0 || !long.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var position)) return null;
        return new Cursor(colon < 0 ? null : text[..colon], position);
    }
}
