namespace Sluice.Inference.Grammars.Machines;

/// <summary>One token that has no text, such as the one that begins a call: no byte leads through it, only the token itself does.</summary>
/// <param name="token">Its id.</param>
internal sealed class TokenMachine(int token) : ByteMachine
{
    public int Token => token;

    public override int Start => 0;

    public override bool IsNarrow => true;

    public override int Step(int state, byte value) => Dead;

    public override bool IsAccepting(int state) => false;

    // Never forced: forced text is made of bytes.
    public override int NextByte(int state) => ManyBytes;
}
