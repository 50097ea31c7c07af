using System.Text;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// From one choice to the sink of its generation. Keeps a digest of what was delivered, piece by piece, so that a choice that is replayed can be
/// held to what it said before; while it is replayed the sink is told of calls only, which may be open. Owned by the thread that runs the choice.
/// </summary>
internal sealed class ChoiceOutput(IGenerationSink sink, int choiceIndex)
{
    private RollingDigest _digest = new();

    /// <summary>Whether the sink has been told all this already.</summary>
    public bool IsMuted { get; set; }

    /// <summary>Of every piece so far. Log probabilities don't count.</summary>
    public ulong Digest => _digest.Value;

    public void Text(ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        _digest.Add((byte)'t', utf8);
        if (!IsMuted)
        {
            sink.OnText(choiceIndex, utf8, tokens);
        }
        else
        {
            sink.OnReplayedText(choiceIndex, utf8);
        }
    }

    /// <summary>Text of the prompt: how it is cut into pieces depends on the load, and it says nothing about the answer.</summary>
    public void Echo(ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        if (!IsMuted)
        {
            sink.OnText(choiceIndex, utf8, tokens);
        }
        else
        {
            sink.OnReplayedText(choiceIndex, utf8);
        }
    }

    public void Reasoning(ReadOnlySpan<byte> utf8)
    {
        _digest.Add((byte)'r', utf8);
        if (!IsMuted)
        {
            sink.OnReasoning(choiceIndex, utf8);
        }
    }

    public void ToolCall(int callIndex, string tool)
    {
        _digest.Add((byte)'c', Encoding.UTF8.GetBytes(tool));
        if (!IsMuted)
        {
            sink.OnToolCall(choiceIndex, callIndex, tool);
        }
        else
        {
            sink.OnReplayedToolCall(choiceIndex, callIndex, tool);
        }
    }

    public void ToolArguments(int callIndex, ReadOnlySpan<byte> utf8Json)
    {
        _digest.Add((byte)'a', utf8Json);
        if (!IsMuted)
        {
            sink.OnToolArguments(choiceIndex, callIndex, utf8Json);
        }
        else
        {
            sink.OnReplayedToolArguments(choiceIndex, callIndex, utf8Json);
        }
    }

    public void StopSequence(string text)
    {
        if (!IsMuted)
        {
            sink.OnStopSequence(choiceIndex, text);
        }
    }

    public void Finished(FinishReason reason)
    {
        _digest.Add((byte)'f', [(byte)reason]);
        if (!IsMuted)
        {
            sink.OnFinished(choiceIndex, reason);
        }
    }
}
