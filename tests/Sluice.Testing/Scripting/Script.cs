using System.Text;

namespace Sluice.Testing.Scripting;

/// <summary>
/// What a scripted model answers: tokens, and what happens before each of them. After its last step comes the end of the answer. Every call
/// returns the script; it must not change while it is in use.
/// </summary>
/// <remarks>
/// A model computes all its sequences in one step, so a closed gate or a delay holds up every stream of the same server. The next step of a
/// sequence depends on the number of its tokens alone.
/// </remarks>
public sealed class Script
{
    private readonly List<ScriptStep> _steps = [];
    private ScriptStep _next = new();
    private bool _repeatsLast;

    /// <summary>Text in whole words of the vocabulary where it has them, otherwise in single bytes.</summary>
    public Script Say(string text)
    {
        for (var bytes = Encoding.UTF8.GetBytes(text).AsSpan(); bytes.Length > 0;)
        {
            var token = ScriptedVocabulary.FindLongest(bytes, out var length);
            Add((token, 1));
            bytes = bytes[length..];
        }

        return this;
    }

    /// <summary>One token per byte, whatever the bytes are.</summary>
    public Script Bytes(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            Add((value, 1));
        }

        return this;
    }

    /// <summary>One token, drawn by the sampler. <c>""</c> stands for the end of the answer.</summary>
    /// <param name="tokens">Words of the vocabulary, or single ASCII characters, with their probabilities, which sum to 1.</param>
    public Script Mix(params (string Text, float Probability)[] tokens)
    {
        Add([.. tokens.Select(token => (ScriptedVocabulary.Find(token.Text), token.Probability))]);
        return this;
    }

    /// <summary>The control token <c>[TOOL_CALLS]</c>, which prints nothing.</summary>
    public Script BeginToolCalls()
    {
        Add((ScriptedVocabulary.ToolCalls, 1));
        return this;
    }

    /// <summary>Before the next token, waits for the gate.</summary>
    public Script Wait(Gate gate)
    {
        _next = _next with { Gate = gate };
        return this;
    }

    /// <summary>Before the next token, lets real time pass.</summary>
    public Script Delay(TimeSpan time)
    {
        _next = _next with { Delay = time };
        return this;
    }

    /// <summary>In place of the next token, the model throws.</summary>
    public Script Throw()
    {
        _next = _next with { Throws = true };
        Add();
        return this;
    }

    /// <summary>The last step again and again, to the token limit.</summary>
    public Script Forever()
    {
        _repeatsLast = true;
        return this;
    }

    /// <summary>What happens at a position among the generated tokens; null is the end of the answer.</summary>
    internal ScriptStep? At(int position) =>
        position < _steps.Count ? _steps[position] : _repeatsLast ? _steps[^1] : null;

    private void Add(params (int Token, float Probability)[] tokens)
    {
        _steps.Add(_next with { Tokens = tokens });
        _next = new ScriptStep();
    }
}

/// <summary>One token, and what comes before it.</summary>
internal sealed record ScriptStep
{
    public IReadOnlyList<(int Token, float Probability)> Tokens { get; init; } = [];

    public Gate? Gate { get; init; }

    public TimeSpan Delay { get; init; }

    public bool Throws { get; init; }
}
