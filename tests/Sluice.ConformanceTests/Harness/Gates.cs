using Sluice.Testing.Scripting;

namespace Sluice.ConformanceTests.Harness;

/// <summary>A gate before each token of a script.</summary>
public sealed class Gates(int count)
{
    private readonly Gate[] _gates = [.. Enumerable.Range(0, count).Select(_ => new Gate())];

    /// <summary>A script of one token per gate; the end of the answer has none.</summary>
    public Script Script(params ReadOnlySpan<string> tokens)
    {
        var script = new Script();
        for (var i = 0; i < tokens.Length; i++) script.Wait(_gates[i]).Say(tokens[i]);
        return script;
    }

    public void Open(int index) => _gates[index].Open();
}
