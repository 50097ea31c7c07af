using Sluice.Inference.Grammars.Machines;

namespace Sluice.Inference.Grammars;

internal enum GrammarNodeKind : byte
{
    Machine,
    Sequence,
    Choice,
    Repeat,
}

/// <summary>One node of a grammar; children are indexes of nodes.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Children">Parts of a sequence or a choice, or the one that is repeated.</param>
/// <param name="Machine">The bytes of a terminal.</param>
/// <param name="Min">Fewest repetitions.</param>
/// <param name="Max">Most repetitions; <see cref="int.MaxValue"/> is any number.</param>
internal sealed record GrammarNode(GrammarNodeKind Kind, int[] Children, ByteMachine? Machine = null, int Min = 0, int Max = 0);
