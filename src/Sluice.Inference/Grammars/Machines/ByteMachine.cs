namespace Sluice.Inference.Grammars.Machines;

/// <summary>
/// A deterministic automaton over bytes: the terminals of a grammar. States are numbers from 0 and mean something to their machine only.
/// Every state that can be reached leads to an accepting one. Immutable; safe to use from any thread.
/// </summary>
internal abstract class ByteMachine
{
    /// <summary>No next state.</summary>
    public const int Dead = -1;

    /// <summary>In place of the only next byte: there is none.</summary>
    public const int NoByte = -1;

    /// <summary>In place of the only next byte: there are several.</summary>
    public const int ManyBytes = -2;

    /// <summary>The state before the first byte.</summary>
    public abstract int Start { get; }

    /// <summary>The next state, or <see cref="Dead"/>.</summary>
    public abstract int Step(int state, byte value);

    /// <summary>Whether the bytes so far are a whole.</summary>
    public abstract bool IsAccepting(int state);

    /// <summary>The only byte that can follow, <see cref="NoByte"/> or <see cref="ManyBytes"/>.</summary>
    public virtual int NextByte(int state)
    {
        int found = NoByte;
        for (int value = 0; value < 256; value++)
        {
            if (Step(state, (byte)value) >= 0)
            {
                if (found >= 0)
                {
                    return ManyBytes;
                }

                found = value;
            }
        }

        return found;
    }

    /// <summary>Whether few bytes can follow anywhere, so that looking for tokens is faster than remembering which there are.</summary>
    public virtual bool IsNarrow => false;

    /// <summary>Whether any byte can follow.</summary>
    public virtual bool CanStep(int state) => NextByte(state) != NoByte;

    /// <summary>
    /// A state that accepts the same continuations of up to <paramref name="byteCount"/> bytes, the same for as many states as possible.
    /// </summary>
    public virtual int Canonicalize(int state, int byteCount) => state;
}
