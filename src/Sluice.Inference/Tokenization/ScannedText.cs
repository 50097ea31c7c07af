using System.Buffers;
using System.Globalization;
using System.Text;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// A text as UTF-8 with start and class of every code point; a lone surrogate is U+FFFD. Its arrays are rented until <see cref="Dispose"/>.
/// </summary>
internal readonly ref struct ScannedText
{
    private readonly byte[] _utf8;
    private readonly int[] _starts;
    private readonly CharacterClass[] _classes;

    /// <param name="text">The text.</param>
    /// <param name="hasMarksInWords">Combining marks get the class of letters.</param>
    public ScannedText(ReadOnlySpan<char> text, bool hasMarksInWords)
    {
        _utf8 = ArrayPool<byte>.Shared.Rent(text.Length * 3);
        _starts = ArrayPool<int>.Shared.Rent(text.Length + 1);
        _classes = ArrayPool<CharacterClass>.Shared.Rent(text.Length);
        var bytes = 0;
        var count = 0;
        while (!text.IsEmpty)
        {
            Rune.DecodeFromUtf16(text, out var rune, out var length);
            _starts[count] = bytes;
            var kind = CharacterClasses.Of(rune);
            _classes[count++] = hasMarksInWords && kind == CharacterClass.None && IsMark(rune) ? CharacterClass.Letter : kind;
            bytes += rune.EncodeToUtf8(_utf8.AsSpan(bytes));
            text = text[length..];
        }

        _starts[count] = bytes;
        Count = count;
    }

    /// <summary>Number of code points.</summary>
    public int Count { get; }

    /// <summary>Class of each code point.</summary>
    public ReadOnlySpan<CharacterClass> Classes => _classes.AsSpan(0, Count);

    /// <summary>UTF-8 of the code points from <paramref name="start"/> up to but not including <paramref name="end"/>.</summary>
    public ReadOnlySpan<byte> Bytes(int start, int end) => _utf8.AsSpan(_starts[start].._starts[end]);

    /// <summary>The code point if it is ASCII, else some value from 0x80.</summary>
    public byte Ascii(int index) => _utf8[_starts[index]];

    public int CodePoint(int index)
    {
        Rune.DecodeFromUtf8(_utf8.AsSpan(_starts[index].._starts[index + 1]), out var rune, out _);
        return rune.Value;
    }

    public UnicodeCategory Category(int index) => Rune.GetUnicodeCategory(new Rune(CodePoint(index)));

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_utf8);
        ArrayPool<int>.Shared.Return(_starts);
        ArrayPool<CharacterClass>.Shared.Return(_classes);
    }

    private static bool IsMark(Rune rune) => !rune.IsAscii
        && Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;
}
