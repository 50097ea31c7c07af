using System.Text;
using Sluice.Inference.Grammars.Machines;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Grammars;

/// <summary>
/// The bytes that a vocabulary can write. Some lack those that begin rare characters: free text does without them, but a value that has to
/// have one could be begun and never be completed. Immutable.
/// </summary>
internal sealed class WritableBytes
{
    private readonly bool[] _occurs = new bool[256];

    public WritableBytes(Tokenizer tokenizer)
    {
        for (int token = 0; token < tokenizer.VocabularySize; token++)
        {
            foreach (byte value in tokenizer.GetBytes(token).Span)
            {
                _occurs[value] = true;
            }
        }
    }

    /// <summary>What is wrong with a grammar whose names or values have a character that no token can write; null if none has.</summary>
    public GrammarException? FindFault(Grammar grammar)
    {
        for (int i = 0; i < grammar.NodeCount; i++)
        {
            foreach (byte[] text in (grammar.Node(i).Machine as LiteralMachine)?.Texts ?? [])
            {
                int index = Array.FindIndex(text, value => !_occurs[value]);
                if (index >= 0)
                {
                    while ((text[index] & 0xC0) == 0x80) index--;
                    _ = Rune.DecodeFromUtf8(text.AsSpan(index), out Rune character, out _);
                    return new GrammarException(FormattableString.Invariant(
                        $"the model's vocabulary can't write the character U+{character.Value:X4} ({character}) of a name or value"));
                }
            }
        }

        return null;
    }
}
