using System.Net.ServerSentEvents;
using System.Text;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>A body as a client sees it: what .NET's own parser makes of it, and by which byte it has made it.</summary>
internal sealed class ParsedStream
{
    private readonly List<int> _lengths = [];

    public ParsedStream(byte[] bytes)
    {
        Bytes = bytes;
        CheckFraming();
        var input = new OneByOne(bytes);
        foreach (var item in SseParser.Create(input, static (_, data) => Encoding.UTF8.GetString(data)).Enumerate())
        {
            Data.Add(item.Data);
            Ids.Add(item.EventId ?? "");
            _lengths.Add(input.Given);
        }
        Count = Data.Count(static data =>
            data != "[DONE]" && !data.StartsWith("{\"error\"", StringComparison.Ordinal) && !data.StartsWith("{\"type\":\"error\"", StringComparison.Ordinal));
    }

    public byte[] Bytes { get; }

    public string Text => Encoding.UTF8.GetString(Bytes);

    /// <summary>Of every event, that of the end included: <c>[DONE]</c> or an error.</summary>
    public List<string> Data { get; } = [];

    /// <summary>Of the same events; empty without.</summary>
    public List<string> Ids { get; } = [];

    /// <summary>Events that a client counts: all but the end.</summary>
    public int Count { get; }

    /// <summary>Events that a client has of the first <paramref name="bytes"/> bytes.</summary>
    public int CountAfter(int bytes)
    {
        var at = _lengths.BinarySearch(bytes + 1);
        return at >= 0 ? at : ~at;
    }

    // As strict as Python's decoder, which gives an event without data to whoever reads JSON of it: a blank line with an id before it must follow data.
    private void CheckFraming()
    {
        var (hasData, hasId) = (false, false);
        foreach (var line in Text.Split('\n'))
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal)) hasData = true;
            else if (line.StartsWith("id: ", StringComparison.Ordinal)) hasId = true;
            else if (line.Length > 0 && !line.StartsWith("event: ", StringComparison.Ordinal)) Assert.StartsWith(":", line, StringComparison.Ordinal);
            if (line.Length > 0) continue;
            Assert.True(hasData || !hasId || Text.EndsWith("\n\n", StringComparison.Ordinal));
            hasData = false;
        }
    }

    private sealed class OneByOne(byte[] bytes) : ReadOnlyStream
    {
        public int Given { get; private set; }

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (Given == bytes.Length || count == 0) return 0;
            buffer[offset] = bytes[Given++];
            return 1;
        }
    }
}
