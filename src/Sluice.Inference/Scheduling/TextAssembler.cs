using System.Buffers;
using System.Text;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// Turns the bytes of tokens into text that may be delivered: whole code points only, and nothing that may still become part of a stop
/// sequence. Bytes that are not UTF-8 become U+FFFD.
/// </summary>
internal sealed class TextAssembler
{
    private readonly byte[][] _stops;
    private readonly bool _keepsTokensWhole;
    private readonly ArrayBufferWriter<byte> _text = new(256);
    private readonly Queue<(int End, bool IsBorder, TokenLogprob Token)> _tokens = new();
    private readonly List<TokenLogprob> _deliveredTokens = [];
    private readonly byte[] _partial = new byte[4];
    private int _partialLength;
    private int _delivered;

    /// <param name="stopSequences">Not empty strings.</param>
    /// <param name="keepsTokensWhole">Whether text is delivered at token borders only, so that log probabilities belong to their text.</param>
    public TextAssembler(IReadOnlyList<string> stopSequences, bool keepsTokensWhole)
    {
        _stops = [.. stopSequences.Select(Encoding.UTF8.GetBytes)];
        _keepsTokensWhole = keepsTokensWhole;
    }

    /// <summary>Tokens that ended in the text of the last <see cref="Take"/>.</summary>
    public IReadOnlyList<TokenLogprob> DeliveredTokens => _deliveredTokens;

    /// <summary>Tokens with log probabilities whose text is held back.</summary>
    public int HeldCount => _tokens.Count;

    /// <summary>The stop sequence that ended the text; null while none has.</summary>
    public string? StopSequence { get; private set; }

    /// <summary>Adds the bytes of a token.</summary>
    /// <returns>True when a stop sequence is complete; what <see cref="Take"/> then gives ends before it.</returns>
    public bool Append(ReadOnlySpan<byte> bytes, TokenLogprob? logprob)
    {
        int searchFrom = _text.WrittenCount;
        foreach (byte b in bytes)
        {
            AppendByte(b);
        }

        if (logprob != null)
        {
            _tokens.Enqueue((_text.WrittenCount, _partialLength == 0, logprob));
        }

        return Stop(searchFrom);
    }

    /// <summary>No more tokens come: a broken tail becomes U+FFFD.</summary>
    /// <returns>True when that completed a stop sequence.</returns>
    public bool Finish()
    {
        int searchFrom = _text.WrittenCount;
        if (_partialLength > 0)
        {
            _text.Write("\uFFFD"u8);
            _partialLength = 0;
        }

        return Stop(searchFrom);
    }

    /// <summary>The text that may be delivered now; valid until the next call of any method.</summary>
    /// <param name="isLast">Whether the generation has ended, so that nothing is held back.</param>
    public ReadOnlySpan<byte> Take(bool isLast)
    {
        int end = isLast ? _text.WrittenCount : _text.WrittenCount - HeldLength();
        int wholeCount = _tokens.Count;
        _deliveredTokens.Clear();
        if (_keepsTokensWhole && !isLast)
        {
            // A token that ends inside a code point has its text only together with the next one.
            int border = _delivered;
            int borderCount = 0;
            wholeCount = 0;
            foreach ((int tokenEnd, bool isBorder, _) in _tokens)
            {
                if (tokenEnd > end)
                {
                    break;
                }

                border = isBorder ? tokenEnd : border;
                borderCount++;
                wholeCount = isBorder ? borderCount : wholeCount;
            }

            end = border;
        }

        if (end > _delivered || isLast)
        {
            for (; wholeCount > 0; wholeCount--)
            {
                _deliveredTokens.Add(_tokens.Dequeue().Token);
            }
        }

        ReadOnlySpan<byte> text = _text.WrittenSpan[_delivered..end];
        _delivered = end;
        if (_delivered == _text.WrittenCount && _tokens.Count == 0)
        {
            // Nothing is held, so offsets may start again: the buffer stays as long as one delivery.
            _text.ResetWrittenCount();
            _delivered = 0;
        }

        return text;
    }

    /// <summary>The tokens of <see cref="HeldCount"/>, oldest first.</summary>
    public TokenLogprob[] GetHeldTokens() => [.. _tokens.Select(static held => held.Token)];

    private void AppendByte(byte b)
    {
        _partial[_partialLength++] = b;
        while (_partialLength > 0)
        {
            OperationStatus status = Rune.DecodeFromUtf8(_partial.AsSpan(0, _partialLength), out _, out int consumed);
            if (status == OperationStatus.NeedMoreData)
            {
                return;
            }

            _text.Write(status == OperationStatus.Done ? _partial.AsSpan(0, consumed) : "\uFFFD"u8);
            _partial.AsSpan(consumed, _partialLength - consumed).CopyTo(_partial);
            _partialLength -= consumed;
        }
    }

    // Looks for the earliest stop sequence that ends in new text, and cuts the text there.
    private bool Stop(int searchFrom)
    {
        if (_stops.Length == 0)
        {
            return false;
        }

        int cut = -1;
        byte[] found = [];
        foreach (byte[] stop in _stops)
        {
            int start = Math.Max(_delivered, searchFrom - stop.Length + 1);
            int at = _text.WrittenSpan[start..].IndexOf(stop);
            if (at >= 0 && (cut < 0 || start + at < cut))
            {
                cut = start + at;
                found = stop;
            }
        }

        if (cut < 0)
        {
            return false;
        }

        StopSequence = Encoding.UTF8.GetString(found);
        int kept = cut - _delivered;
        byte[] rest = _text.WrittenSpan.Slice(_delivered, kept).ToArray();
        int removed = _delivered;
        _text.ResetWrittenCount();
        _text.Write(rest);
        _delivered = 0;
        _partialLength = 0;
        TrimTokens(removed, kept);
        return true;
    }

    private void TrimTokens(int removed, int kept)
    {
        (int End, bool IsBorder, TokenLogprob Token)[] tokens = [.. _tokens];
        _tokens.Clear();
        foreach ((int end, bool isBorder, TokenLogprob token) in tokens)
        {
            if (end - removed <= kept)
            {
                _tokens.Enqueue((end - removed, isBorder, token));
            }
        }
    }

    // The longest suffix that begins a stop sequence.
    private int HeldLength()
    {
        int held = 0;
        ReadOnlySpan<byte> open = _text.WrittenSpan[_delivered..];
        foreach (byte[] stop in _stops)
        {
            for (int length = Math.Min(stop.Length - 1, open.Length); length > held; length--)
            {
                if (open[^length..].SequenceEqual(stop.AsSpan(0, length)))
                {
                    held = length;
                    break;
                }
            }
        }

        return held;
    }
}
