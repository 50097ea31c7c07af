using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Answers;
using Sluice.Server.Storage;

namespace Sluice.Server.Endpoints;

/// <summary>
/// What a request says about its connection, by headers: <c>Idempotency-Key</c>, with or without quotation marks; <c>Last-Event-ID: {n}</c>
/// or <c>{id}:{n}</c>; <c>Sluice-Event-Ids: 1</c>; <c>Sluice-On-Disconnect: cancel | continue</c>; <c>Sluice-Store: off</c>; <c>Sluice-Content: off</c>.
/// </summary>
internal static class ResumeHeaders
{
    private const string KeyName = "Idempotency-Key";
    private const string CursorName = "Last-Event-ID";
    private const string EventIdsName = "Sluice-Event-Ids";
    private const string StoreName = "Sluice-Store";
    private const string ContentName = "Sluice-Content";
    private const string OnDisconnectName = "Sluice-On-Disconnect";
    private const int KeyLengthMax = 255;

    /// <summary>What the headers say, or what is wrong with them.</summary>
    public static (ResumeWish Wish, ApiError? Error) Read(HttpRequest request)
    {
        var wish = ResumeWish.None;
        if (request.Headers.TryGetValue(KeyName, out var keys))
        {
            var key = keys.ToString().Trim();
            if (key.Length >= 2 && key[0] == '"' && key[^1] == '"') key = key[1..^1];
            if (key.Length is 0 or > KeyLengthMax || key.Any(static letter => letter is <= ' ' or >= (char)0x7F))
                return (ResumeWish.None, ApiErrors.InvalidHeader(KeyName, $"1 to {KeyLengthMax} visible ASCII characters"));
            wish = wish with { Key = key };
        }
        // A browser that has no id to name sends none, or an empty one.
        if (request.Headers.TryGetValue(CursorName, out var cursors) && cursors.ToString().Trim() is { Length: > 0 } cursor)
        {
            if (ReadCursor(cursor) is not { } read)
            {
                return (ResumeWish.None, ApiErrors.InvalidCursor(
                    $"The header {CursorName} must be a number of events, or the id of a completion, a colon and such a number."));
            }
            wish = wish with { Cursor = read };
        }
        if (request.Headers.TryGetValue(EventIdsName, out var ids))
        {
            if (ids != "1") return (ResumeWish.None, ApiErrors.InvalidHeader(EventIdsName, "'1'"));
            wish = wish with { WantsEventIds = true };
        }
        if (request.Headers.TryGetValue(OnDisconnectName, out var policies))
        {
            DisconnectPolicy? policy = policies.ToString() switch { "cancel" => DisconnectPolicy.Cancel, "continue" => DisconnectPolicy.Continue, _ => null };
            if (policy is null) return (ResumeWish.None, ApiErrors.InvalidHeader(OnDisconnectName, "'cancel' or 'continue'"));
            wish = wish with { OnDisconnect = policy.Value };
        }
        if (request.Headers.TryGetValue(StoreName, out var store))
        {
            if (store != "off") return (ResumeWish.None, ApiErrors.InvalidHeader(StoreName, "'off'"));
            wish = wish with { IsStoreOff = true };
        }
        if (request.Headers.TryGetValue(ContentName, out var content))
        {
            if (content != "off") return (ResumeWish.None, ApiErrors.InvalidHeader(ContentName, "'off'"));
            wish = wish with { IsContentOff = true };
        }
        return (wish, null);
    }

    private static Cursor? ReadCursor(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon == 0 || !long.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var position)) return null;
        return new Cursor(colon < 0 ? null : text[..colon], position);
    }
}
