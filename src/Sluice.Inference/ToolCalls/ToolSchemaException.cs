using Sluice.Inference.Grammars;

namespace Sluice.Inference.ToolCalls;

/// <summary>The schema of a strict tool can't be followed.</summary>
/// <param name="tool">Name of the tool.</param>
/// <param name="fault">What is wrong with it.</param>
public sealed class ToolSchemaException(string tool, GrammarException fault) : Exception(fault.Message, fault)
{
    /// <summary>Name of the tool.</summary>
    public string Tool { get; } = tool;

    /// <summary>What is wrong, and where.</summary>
    public GrammarException Fault { get; } = fault;
}
