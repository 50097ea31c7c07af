using System.Buffers.Binary;
using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// The normalisation of a SentencePiece model as its file has it (<c>precompiled_charsmap</c>): a double-array trie of byte strings, and the
/// texts that replace them, each ended by a zero. A unit of the trie has in bits 10 to 30 where its children are, in bit 9 whether that is
/// multiplied by 256, in bit 8 whether a string ends there, and in bits 0 to 7 its byte; the unit after the end of a string holds the place of its
/// replacement.
/// </summary>
internal sealed class CharacterMap
{
    private const string Key = "tokenizer.ggml.precompiled_charsmap";
    private const uint LabelMask = 0x800000FF;

    private readonly uint[] _units;
    private readonly byte[] _replacements;

    private CharacterMap(uint[] units, byte[] replacements) => (_units, _replacements) = (units, replacements);

    /// <summary>The map of a file; one that replaces nothing where it has none.</summary>
    /// <exception cref="GgufException">The map is cut off.</exception>
    public static CharacterMap Read(GgufMetadata metadata)
    {
        if (metadata.FindIntegers(Key) is not { Length: > 0 } values) return new CharacterMap([], []);
        var bytes = Array.ConvertAll(values, static value => (byte)value);
        var trieBytes = bytes.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : uint.MaxValue;
        if (trieBytes > bytes.Length - 4 || trieBytes % 4 != 0)
        {
            throw metadata.Error(Key, "a trie and its length before it", FormattableString.Invariant($"{bytes.Length} bytes"));
        }

        var units = new uint[trieBytes / 4];
        for (var i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(4 + (4 * i)));
        return new CharacterMap(units, bytes[(4 + (int)trieBytes)..]);
    }

    /// <summary>What stands for the start of a text: the replacement of the longest string that it starts with, else its first character.</summary>
    /// <param name="utf8">Valid UTF-8, not empty.</param>
    /// <param name="length">Receives how many bytes it stands for.</param>
    public ReadOnlySpan<byte> Next(ReadOnlySpan<byte> utf8, out int length)
    {
        if (Find(utf8, out length) is >= 0 and var place && place < _replacements.Length)
        {
            var replacement = _replacements.AsSpan(place);
            var end = replacement.IndexOf((byte)0);
            return end < 0 ? replacement : replacement[..end];
        }

        Rune.DecodeFromUtf8(utf8, out _, out length);
        return utf8[..length];
    }

    private int Find(ReadOnlySpan<byte> text, out int length)
    {
        (length, var place) = (0, -1);
        if (_units.Length == 0) return place;
        var node = Children(0);
        for (var i = 0; i < text.Length && text[i] != 0; i++)
        {
            node ^= text[i];
            if (node >= _units.Length || (_units[node] & LabelMask) != text[i]) break;
            var isEnd = (_units[node] & 0x100) != 0;
            node ^= Children(node);
            if (isEnd && node < _units.Length) (length, place) = (i + 1, (int)(_units[node] & 0x7FFFFFFF));
        }

        return place;
    }

    private uint Children(uint node) => _units[node] >> 10 << (int)((_units[node] & 0x200) >> 6);
}
