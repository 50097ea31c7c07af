using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Messages;
using Sluice.Protocol.Ollama;
using Sluice.Protocol.Rerank;
using Sluice.Protocol.Responses;

namespace Sluice.Server.Runtime;

/// <summary>The dialects that the hub's doors speak.</summary>
internal static class Dialects
{
    public static IReadOnlyList<AnswerDialect> All { get; } =
    [
        ChatDialect.Instance, CompletionDialect.Instance, EmbeddingsDialect.Instance, MessagesDialect.Instance, ResponsesDialect.Instance,
        OllamaDialect.Chat, OllamaDialect.Generate, OllamaEmbedDialect.Instance, OllamaEmbedDialect.Older, RerankDialect.Instance,
    ];

    /// <summary>By the path of its door, or one below it.</summary>
    /// <param name="path">Of a request.</param>
    /// <param name="rest">What follows the door's own path, without its slash.</param>
    public static AnswerDialect? FindByPath(string path, out string rest)
    {
        foreach (var dialect in All)
        {
            if (!path.StartsWith(dialect.Path, StringComparison.Ordinal)) continue;
            rest = path[dialect.Path.Length..];
            if (rest.Length == 0) return dialect;
            if (rest[0] != '/') continue;
            rest = rest[1..];
            return dialect;
        }
        rest = "";
        return null;
    }

    /// <summary>By the name that stores have; null for one that this hub does not know.</summary>
    public static AnswerDialect? Find(string name) => All.FirstOrDefault(dialect => dialect.Name == name);
}
