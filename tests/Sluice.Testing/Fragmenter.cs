using System.Buffers;

namespace Sluice.Testing;

/// <summary>
/// Cuts bytes in every way a network might: whole, byte by byte, and at every place or pair of places; short inputs in every way
/// there is.
/// </summary>
public static class Fragmenter
{
    // 2^(n-1) ways to cut n bytes; 11 bytes have 1024.
    private const int ExhaustiveBytesMax = 11;

    // n²/2 pairs of places; 80 bytes have 3160.
    private const int PairsBytesMax = 80;

    /// <summary>Every way to cut <paramref name="bytes"/>; the fragments of each, joined, are the bytes again.</summary>
    public static IEnumerable<IReadOnlyList<ReadOnlyMemory<byte>>> Fragment(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length <= ExhaustiveBytesMax)
        {
            for (var cuts = 0; cuts < 1 << Math.Max(0, bytes.Length - 1); cuts++)
            {
                var mask = cuts;
                yield return Cut(bytes, Enumerable.Range(1, Math.Max(0, bytes.Length - 1)).Where(at => (mask >> (at - 1) & 1) != 0));
            }

            yield break;
        }

        yield return [bytes];
        yield return Cut(bytes, Enumerable.Range(1, bytes.Length - 1));
        for (var first = 1; first < bytes.Length; first++)
        {
            yield return Cut(bytes, [first]);
            if (bytes.Length > PairsBytesMax) continue;
            for (var second = first + 1; second < bytes.Length; second++) yield return Cut(bytes, [first, second]);
        }
    }

    /// <summary>The text with every line feed written as LF, as CR and as CRLF.</summary>
    public static IEnumerable<string> LineEndings(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        yield return text;
        yield return text.Replace("\n", "\r", StringComparison.Ordinal);
        yield return text.Replace("\n", "\r\n", StringComparison.Ordinal);
    }

    /// <summary>The fragments as the segments of one sequence.</summary>
    public static ReadOnlySequence<byte> ToSequence(IReadOnlyList<ReadOnlyMemory<byte>> fragments)
    {
        ArgumentNullException.ThrowIfNull(fragments);
        if (fragments.Count == 0) return ReadOnlySequence<byte>.Empty;
        var first = new Segment(fragments[0], null);
        var last = fragments.Skip(1).Aggregate(first, (previous, fragment) => new Segment(fragment, previous));
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    /// <summary>A stream that returns at most one fragment per read.</summary>
    public static Stream ToStream(IReadOnlyList<ReadOnlyMemory<byte>> fragments) => new FragmentStream(fragments);

    private static List<ReadOnlyMemory<byte>> Cut(ReadOnlyMemory<byte> bytes, IEnumerable<int> places)
    {
        var fragments = new List<ReadOnlyMemory<byte>>();
        var start = 0;
        foreach (var place in places)
        {
            fragments.Add(bytes[start..place]);
            start = place;
        }

        fragments.Add(bytes[start..]);
        return fragments;
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, Segment? previous)
        {
            Memory = memory;
            if (previous is null) return;
            RunningIndex = previous.RunningIndex + previous.Memory.Length;
            previous.Next = this;
        }
    }

    private sealed class FragmentStream(IReadOnlyList<ReadOnlyMemory<byte>> fragments) : ReadOnlyStream
    {
        private int _index;
        private int _offset;

        public override int Read(byte[] buffer, int offset, int count)
        {
            while (_index < fragments.Count && _offset == fragments[_index].Length)
            {
                _index++;
                _offset = 0;
            }

            if (_index == fragments.Count) return 0;
            var piece = fragments[_index].Span[_offset..];
            if (piece.Length > count) piece = piece[..count];
            piece.CopyTo(buffer.AsSpan(offset));
            _offset += piece.Length;
            return piece.Length;
        }
    }
}
