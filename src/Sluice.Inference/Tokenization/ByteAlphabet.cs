using System.Text;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// The printable characters in which byte-level vocabularies spell bytes: 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF stand for themselves, the
/// other 68 bytes, in order, are U+0100 and up.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly short[] ByteOfCharacter = CreateInverse();

    /// <summary>Writes the bytes that a vocabulary entry spells; characters outside the alphabet keep their own UTF-8.</summary>
    /// <param name="piece">UTF-8 of the entry.</param>
    /// <param name="bytes">At least as long as <paramref name="piece"/>.</param>
    /// <param name="isPure">Every character was of the alphabet.</param>
    /// <returns>Number of bytes written.</returns>
    public static int Decode(ReadOnlySpan<byte> piece, Span<byte> bytes, out bool isPure)
    {
        isPure = true;
        var count = 0;
        while (!piece.IsEmpty)
        {
            Rune.DecodeFromUtf8(piece, out var rune, out var length);
            if (rune.Value < ByteOfCharacter.Length && ByteOfCharacter[rune.Value] >= 0)
            {
                bytes[count++] = (byte)ByteOfCharacter[rune.Value];
            }
            else
            {
                isPure = false;
                piece[..length].CopyTo(bytes[count..]);
                count += length;
            }

            piece = piece[length..];
        }

        return count;
    }

    private static short[] CreateInverse()
    {
        var inverse = new short[0x100 + 68];
        Array.Fill(inverse, (short)-1);
        var next = 0x100;
        for (short b = 0; b < 0x100; b++)
        {
            var isPrintable = b is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            inverse[isPrintable ? b : next++] = b;
        }

        return inverse;
    }
}
