using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>What is kept of an answer in order to give it again. Immutable.</summary>
/// <param name="Key">Of the question.</param>
/// <param name="Id">Of the answer that it was.</param>
/// <param name="Events">All of them.</param>
/// <param name="Usage">As it was stated.</param>
/// <param name="Until">From then on it is too old.</param>
/// <param name="Subject">The person that it was made for, as in the ledger; null without one.</param>
internal sealed record CachedAnswer(string Key, string Id, EventBuffer Events, AnswerUsage Usage, DateTimeOffset Until, string? Subject)
{
    /// <summary>Appends the events to the log of another answer, under its id.</summary>
    public void WriteTo(StreamLog log, string id)
    {
        var (before, after) = (RestOf(Id), RestOf(id));
        var copy = new byte[Events.WrittenCount];
        for (var i = 0; i < Events.Count; i++)
        {
            var bytes = copy.AsSpan(0, Events[i].Length);
            Events[i].CopyTo(bytes);
            // Ids of parts are made of it too.
            for (var rest = bytes; rest.IndexOf(before) is >= 0 and var at; rest = rest[(at + after.Length)..]) after.CopyTo(rest[at..]);
            log.AppendQuietly(bytes);
        }
        log.Publish();
    }

    // What is behind the prefix has the same length in all.
    private static byte[] RestOf(string id) => Encoding.ASCII.GetBytes(id[(id.AsSpan().LastIndexOfAny('-', '_') + 1)..]);
}
