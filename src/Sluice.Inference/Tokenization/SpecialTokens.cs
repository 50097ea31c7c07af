using System.Buffers;
using System.Text;

namespace Sluice.Inference.Tokenization;

/// <summary>Finds special tokens in text: a trie over their UTF-16 units. Safe to use from any thread once it is filled.</summary>
internal sealed class SpecialTokens
{
    private readonly Dictionary<(int Node, char Unit), int> _edges = [];
    private readonly List<Special?> _nodes = [null];
    private readonly HashSet<char> _firstUnits = [];
    private SearchValues<char> _starts = SearchValues.Create("");

    /// <summary>Adds a token; of two with the same text the later one stays.</summary>
    /// <param name="text">Not empty.</param>
    /// <param name="token">Its id.</param>
    /// <param name="isUserDefined">Recognised everywhere, not only where special tokens are asked for.</param>
    /// <param name="stripsRight">White space after it is dropped.</param>
    public void Add(string text, int token, bool isUserDefined, bool stripsRight)
    {
        var node = 0;
        foreach (var unit in text)
        {
            if (!_edges.TryGetValue((node, unit), out var next))
            {
                next = _nodes.Count;
                _nodes.Add(null);
                _edges.Add((node, unit), next);
            }

            node = next;
        }

        _nodes[node] = new Special(token, Encoding.UTF8.GetByteCount(text), isUserDefined, stripsRight);
        if (_firstUnits.Add(text[0]))
        {
            _starts = SearchValues.Create([.. _firstUnits]);
        }
    }

    /// <summary>
    /// All matches that count, in order and without overlap. A longer token goes before a shorter one wherever they overlap, and an earlier
    /// match before a later one of the same length. Null if there are none.
    /// </summary>
    public List<SpecialMatch>? Find(ReadOnlySpan<char> text, bool parseSpecial, ReadOnlySpan<TextSpan> literalSpans)
    {
        List<SpecialMatch>? matches = null;
        for (var start = 0; start < text.Length; start++)
        {
            var offset = text[start..].IndexOfAny(_starts);
            if (offset < 0)
            {
                break;
            }

            start += offset;
            FindAt(text, start, parseSpecial, literalSpans, ref matches);
        }

        return matches is null || !Overlap(matches) ? matches : ResolveOverlaps(matches, text.Length);
    }

    private void FindAt(
        ReadOnlySpan<char> text, int start, bool parseSpecial, ReadOnlySpan<TextSpan> literalSpans, ref List<SpecialMatch>? matches)
    {
        var node = 0;
        for (var end = start; end < text.Length && _edges.TryGetValue((node, text[end]), out node);)
        {
            end++;
            if (_nodes[node] is { } special && (special.IsUserDefined || (parseSpecial && !OverlapsAny(literalSpans, start, end))))
            {
                (matches ??= []).Add(new SpecialMatch(start, end, special.Token, special.ByteLength, special.StripsRight));
            }
        }
    }

    private static bool OverlapsAny(ReadOnlySpan<TextSpan> spans, int start, int end)
    {
        foreach (var span in spans)
        {
            if (span.Start < end && start < span.End)
            {
                return true;
            }
        }

        return false;
    }

    private static bool Overlap(List<SpecialMatch> matches)
    {
        for (var i = 1; i < matches.Count; i++)
        {
            if (matches[i].Start < matches[i - 1].End)
            {
                return true;
            }
        }

        return false;
    }

    private static List<SpecialMatch> ResolveOverlaps(List<SpecialMatch> matches, int textLength)
    {
        matches.Sort(static (a, b) => a.ByteLength != b.ByteLength ? b.ByteLength.CompareTo(a.ByteLength) : a.Start.CompareTo(b.Start));
        var taken = new bool[textLength];
        matches.RemoveAll(match =>
        {
            var units = taken.AsSpan(match.Start..match.End);
            if (units.Contains(true))
            {
                return true;
            }

            units.Fill(true);
            return false;
        });
        matches.Sort(static (a, b) => a.Start.CompareTo(b.Start));
        return matches;
    }

    private sealed record Special(int Token, int ByteLength, bool IsUserDefined, bool StripsRight);
}

/// <summary>A special token found in a text.</summary>
/// <param name="Start">First UTF-16 unit.</param>
/// <param name="End">One past the last unit.</param>
/// <param name="Token">Its id.</param>
/// <param name="ByteLength">Length of its text in UTF-8.</param>
/// <param name="StripsRight">White space after it is dropped.</param>
internal readonly record struct SpecialMatch(int Start, int End, int Token, int ByteLength, bool StripsRight);
