using System.Buffers;
using System.Text;

namespace Sluice.Inference.Tokenization;

/// <summary>A text as UTF-8 with U+2581 for spaces, and where its characters start; a lone surrogate is U+FFFD. Its arrays are rented until <see cref="Dispose"/>.</summary>
internal readonly ref struct EscapedText
{
    private readonly byte[] _utf8;
    private readonly int[] _starts;

    /// <param name="text">The text.</param>
    /// <param name="hasPrefix">Whether a space is put before it.</param>
    public EscapedText(ReadOnlySpan<char> text, bool hasPrefix)
    {
        _utf8 = ArrayPool<byte>.Shared.Rent((text.Length + 1) * 3);
        _starts = ArrayPool<int>.Shared.Rent(text.Length + 2);
        var byteCount = 0;
        var count = 0;
        if (hasPrefix)
        {
            Add(EscapedVocabulary.Space, _utf8, _starts, ref byteCount, ref count);
        }

        Span<byte> utf8 = stackalloc byte[4];
        while (!text.IsEmpty)
        {
            Rune.DecodeFromUtf16(text, out var rune, out var length);
            Add(rune.Value == ' ' ? EscapedVocabulary.Space : utf8[..rune.EncodeToUtf8(utf8)], _utf8, _starts, ref byteCount, ref count);
            text = text[length..];
        }

        _starts[count] = byteCount;
        Count = count;
    }

    /// <summary>Number of characters.</summary>
    public int Count { get; }

    /// <summary>All bytes.</summary>
    public ReadOnlySpan<byte> Utf8 => _utf8.AsSpan(0, _starts[Count]);

    /// <summary>First byte of each character, and at the end the number of bytes.</summary>
    public ReadOnlySpan<int> Starts => _starts.AsSpan(0, Count + 1);

    /// <summary>UTF-8 of the characters from <paramref name="start"/> up to but not including <paramref name="end"/>.</summary>
    public ReadOnlySpan<byte> Bytes(int start, int end) => _utf8.AsSpan(_starts[start].._starts[end]);

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_utf8);
        ArrayPool<int>.Shared.Return(_starts);
    }

    private static void Add(ReadOnlySpan<byte> character, byte[] utf8, int[] starts, ref int byteCount, ref int count)
    {
        starts[count++] = byteCount;
        character.CopyTo(utf8.AsSpan(byteCount));
        byteCount += character.Length;
    }
}
