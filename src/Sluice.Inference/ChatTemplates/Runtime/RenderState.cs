using System.Runtime.CompilerServices;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>What one rendering has used of its bounds, and where in the template it is.</summary>
internal sealed class RenderState(TimeProvider time)
{
    private long _steps;
    private int _iterations;
    private int _depth;

    public TimeProvider Time { get; } = time;

    /// <summary>Line of the node under evaluation, for messages.</summary>
    public int Line { get; set; } = 1;

    public ChatTemplateException Fail(string message) => new(message, Line);

    /// <summary>Enters the evaluation of a node; every call is paired with <see cref="Leave"/> unless it throws.</summary>
    public void Enter(int line)
    {
        Line = line;
        Charge(1);
        if (++_depth > ChatTemplateLimits.EvaluationDepthMax || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Fail($"evaluation is nested deeper than {ChatTemplateLimits.EvaluationDepthMax} levels");
        }
    }

    public void Leave() => _depth--;

    public void Charge(long steps)
    {
        _steps += steps;
        if (_steps > ChatTemplateLimits.StepsMax) throw Fail($"rendering takes more than {ChatTemplateLimits.StepsMax} steps");
    }

    public void ChargeCharacters(long count) => Charge(count / ChatTemplateLimits.CharactersPerStep);

    /// <summary>Charges for one pass over a value.</summary>
    public void ChargeValue(TemplateValue value)
    {
        switch (value)
        {
            case TextValue text:
                ChargeCharacters(text.Length);
                break;
            case SequenceValue sequence:
                Charge(sequence.Items.Count);
                break;
            case MappingValue mapping:
                Charge(mapping.Items.Count / 8);
                break;
        }
    }

    public void CountIteration()
    {
        if (++_iterations > ChatTemplateLimits.LoopIterationsMax)
        {
            throw Fail($"rendering takes more than {ChatTemplateLimits.LoopIterationsMax} loop iterations");
        }
    }

    public void CheckItemCount(long count)
    {
        if (count > ChatTemplateLimits.ItemCountMax) throw Fail($"a collection has more than {ChatTemplateLimits.ItemCountMax} items");
    }

    public void CheckValueDepth(int depth)
    {
        Charge(1);
        if (depth > ChatTemplateLimits.ValueDepthMax || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Fail($"a value is nested deeper than {ChatTemplateLimits.ValueDepthMax} levels");
        }
    }
}
