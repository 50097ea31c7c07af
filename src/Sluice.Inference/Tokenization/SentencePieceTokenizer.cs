using System.Buffers;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// BPE as SentencePiece has it: spaces become U+2581, neighbours whose joint text is the token with the highest score are joined, again and
/// again, and characters that are no token fall apart into byte tokens.
/// </summary>
internal sealed class SentencePieceTokenizer : Tokenizer
{
    private readonly EscapedVocabulary _vocabulary;
    private readonly uint[] _priorities; // by token; a higher score is a lower number
    private readonly bool _addsSpacePrefix;

    private SentencePieceTokenizer(
        Vocabulary vocabulary, SpecialTokens specials, float[] scores, TokenFrame frame, bool addsSpacePrefix)
        : base(vocabulary, specials, frame)
    {
        _vocabulary = new EscapedVocabulary(vocabulary);
        _addsSpacePrefix = addsSpacePrefix;
        _priorities = Array.ConvertAll(scores, Priority);
    }

    /// <inheritdoc cref="Tokenizer.Load"/>
    public static SentencePieceTokenizer Read(GgufMetadata metadata)
    {
        var vocabulary = Vocabulary.Read(metadata, (1, 2, 0));
        return new SentencePieceTokenizer(
            vocabulary,
            vocabulary.CreateSpecialTokens(StripsRight(metadata)),
            vocabulary.ReadScores(metadata),
            TokenFrame.Read(metadata, addsBegin: true, addsEnd: false),
            metadata.GetBoolean("tokenizer.ggml.add_space_prefix", true));
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> GetBytes(int token) => _vocabulary.Bytes(token);

    private protected override void EncodeText(ReadOnlySpan<char> text, bool isAfterSpecial, List<int> tokens)
    {
        using var escaped = new EscapedText(text, _addsSpacePrefix && isAfterSpecial);
        Merge(escaped.Utf8, escaped.Starts, tokens);
    }

    /// <summary>Phi-3 was trained with white space dropped after its special tokens; its files do not say so.</summary>
    private static Predicate<string>? StripsRight(GgufMetadata metadata)
    {
        var name = metadata.FindString("general.name") ?? "";
        return name.Contains("phi-3", StringComparison.OrdinalIgnoreCase) || name.Contains("phi3", StringComparison.OrdinalIgnoreCase)
            ? static text => text is not ("<unk>" or "<s>" or "<|endoftext|>")
            : null;
    }

    // Orders floats as numbers, high scores first; equal scores give equal numbers.
    private static uint Priority(float score)
    {
        var bits = BitConverter.SingleToUInt32Bits(score + 0f);
        return ~((bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000);
    }

    /// <summary>Joins characters and appends the tokens, in O(n log n).</summary>
    /// <param name="utf8">The escaped text.</param>
    /// <param name="starts">First byte of each character, and at the end the text's length.</param>
    /// <param name="tokens">Receives the tokens.</param>
    private void Merge(ReadOnlySpan<byte> utf8, ReadOnlySpan<int> starts, List<int> tokens)
    {
        // Invariant: character i starts a symbol while ends[i] > i; the symbol reaches to character ends[i].
        var count = starts.Length - 1;
        var rented = ArrayPool<int>.Shared.Rent(count * 2);
        var ends = rented.AsSpan(0, count);
        var previous = rented.AsSpan(count, count);
        var queue = new PriorityQueue<(int Left, int End), ulong>(count); // priority in the upper half, position in the lower
        for (var i = 0; i < count; i++)
        {
            ends[i] = i + 1;
            previous[i] = i - 1;
        }

        for (var i = 0; i + 1 < count; i++)
        {
            Enqueue(queue, utf8, starts, i, i + 2);
        }

        while (queue.TryDequeue(out var pair, out _))
        {
            // Stale if one of the two symbols has been joined with another meanwhile.
            var right = ends[pair.Left];
            if (right == 0 || right >= count || ends[right] != pair.End)
            {
                continue;
            }

            ends[pair.Left] = pair.End;
            ends[right] = 0;
            if (pair.End < count)
            {
                previous[pair.End] = pair.Left;
                Enqueue(queue, utf8, starts, pair.Left, ends[pair.End]);
            }

            if (previous[pair.Left] is >= 0 and var before)
            {
                Enqueue(queue, utf8, starts, before, pair.End);
            }
        }

        for (var i = 0; i < count; i = ends[i])
        {
            _vocabulary.Append(utf8[starts[i]..starts[ends[i]]], tokens);
        }

        ArrayPool<int>.Shared.Return(rented);
    }

    private void Enqueue(
        PriorityQueue<(int Left, int End), ulong> queue, ReadOnlySpan<byte> utf8, ReadOnlySpan<int> starts, int left, int end)
    {
        if (_vocabulary.Find(utf8[starts[left]..starts[end]]) is >= 0 and var token)
        {
            queue.Enqueue((left, end), ((ulong)_priorities[token] << 32) | (uint)left);
        }
    }
}
