using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Json;
using Sluice.Protocol.Responses;
using Sluice.Server.Answers;
using Sluice.Server.Storage;

namespace Sluice.Server.Endpoints;

/// <summary>
/// Recognizes the retries of agents that send no key: they repeat a request within one turn only if they kept nothing of its answer, for what
/// they kept is in the next request.
/// </summary>
internal static class TurnMark
{
    // A client's own key has no space in it.
    private const string Prefix = "turn ";
    private const int MarkLengthMax = 128;
    private const string SessionHeader = "x-claude-code-session-id";
    private const string AgentHeader = "x-claude-code-agent-id";

    /// <summary>The wish with a key that the retries of this request have too; as it was where nothing marks a turn.</summary>
    /// <param name="wish">What the request says about its connection.</param>
    /// <param name="request">Its headers.</param>
    /// <param name="dialect">Of the door.</param>
    /// <param name="body">A JSON object.</param>
    public static ResumeWish Apply(ResumeWish wish, HttpRequest request, AnswerDialect dialect, ReadOnlyMemory<byte> body)
    {
        if (wish.Key is not null || wish.Cursor is not null || wish.IsStoreOff) return wish;
        var (mark, kind) = dialect is ResponsesDialect ? (FindTurn(body), TurnKind.Turn) : (FindSession(request, dialect), TurnKind.Session);
        if (mark is not { Length: > 0 and <= MarkLengthMax }) return wish;
        return RequestFingerprint.Of(new(body), isCanonical: true).Canonical is { } canonical
            ? wish with { Key = $"{Prefix}{mark} {canonical}", Turn = kind }
            : wish;
    }

    // Codex names the turn in its body.
    private static string? FindTurn(ReadOnlyMemory<byte> body)
    {
        if (body.Span.IndexOf("\"client_metadata\""u8) < 0) return null;
        if (!JsonBody.TryParse(new(body), out var document)) return null;
        using var parsed = document;
        return document.RootElement.TryGetProperty("client_metadata"u8, out var metadata) && metadata.ValueKind == JsonValueKind.Object
            && metadata.TryGetProperty("turn_id"u8, out var turn) && turn.ValueKind == JsonValueKind.String
            ? turn.GetString()
            : null;
    }

    private static string? FindSession(HttpRequest request, AnswerDialect dialect) =>
        dialect.Name == "messages" && request.Headers.TryGetValue(SessionHeader, out var session) ? $"{session}/{request.Headers[AgentHeader]}" : null;
}
