using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;

namespace Sluice.Server.Runtime;

/// <summary>The dialects that the hub's doors speak.</summary>
internal static class Dialects
{
    public static IReadOnlyList<AnswerDialect> All { get; } = [ChatDialect.Instance];

    /// <summary>By the name that stores have; null for one that this hub does not know.</summary>
    public static AnswerDialect? Find(string name) => All.FirstOrDefault(dialect => dialect.Name == name);
}
