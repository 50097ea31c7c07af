using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>
/// Which tokens of a step go to which experts. The tokens of an expert stand in columns of their own, from the beginning of a tile on,
/// in the order of the step.
/// </summary>
internal sealed class ExpertTokens
{
    private readonly int _usedCount;
    private readonly int[] _chosen;
    private readonly float[] _shares;
    private readonly int[] _activeOf;
    private readonly int[] _columnOf;
    private readonly int[] _experts;
    private readonly int[] _firsts;
    private readonly int[] _assignments;
    private readonly int[] _counts;

    /// <param name="plan">Numbers of experts.</param>
    /// <param name="tokenCapacity">Most tokens of a step.</param>
    /// <param name="gathered">What experts read: <see cref="ColumnCapacity"/> columns.</param>
    /// <param name="gated">What is between their matrices: as many.</param>
    public ExpertTokens(ExpertPlan plan, int tokenCapacity, BatchInput gathered, BatchInput gated)
    {
        _usedCount = plan.UsedCount;
        _chosen = new int[tokenCapacity * plan.UsedCount];
        _shares = new float[_chosen.Length];
        _activeOf = new int[_chosen.Length];
        _columnOf = new int[_chosen.Length];
        _assignments = new int[_chosen.Length];
        int activeMax = Math.Min(plan.Count, _chosen.Length);
        _experts = new int[activeMax];
        _firsts = new int[activeMax + 1];
        _counts = new int[plan.Count];
        Inputs = [.. Enumerable.Range(0, activeMax).Select(_ => new BatchInput(gathered))];
        Gated = [.. Enumerable.Range(0, activeMax).Select(_ => new BatchInput(gated))];
    }

    /// <summary>Experts that have tokens.</summary>
    public int ActiveCount { get; private set; }

    /// <summary>Pairs of a token and one of its experts.</summary>
    public int AssignmentCount { get; private set; }

    /// <summary>What each active expert reads.</summary>
    public BatchInput[] Inputs { get; }

    /// <summary>What is between the matrices of each active expert.</summary>
    public BatchInput[] Gated { get; }

    /// <summary>Columns for all experts' tokens, each from the beginning of a tile on.</summary>
    public static int ColumnCapacity(ExpertPlan plan, int tokenCapacity)
    {
        int assignments = tokenCapacity * plan.UsedCount;
        return assignments + (Math.Min(plan.Count, assignments) * (ActivationLayout.TileWidthMax - 1));
    }

    /// <summary>Where the experts of a token are put, in the order of their numbers.</summary>
    public Span<int> Chosen(int token) => _chosen.AsSpan(token * _usedCount, _usedCount);

    /// <summary>Where their weights are put.</summary>
    public Span<float> Shares(int token) => _shares.AsSpan(token * _usedCount, _usedCount);

    /// <summary>Call when all tokens have chosen.</summary>
    public void Sort(int tokenCount)
    {
        AssignmentCount = tokenCount * _usedCount;
        Array.Clear(_counts);
        foreach (int expert in _chosen.AsSpan(0, AssignmentCount))
        {
            _counts[expert]++;
        }

        ActiveCount = 0;
        int column = 0;
        int first = 0;
        for (int expert = 0; expert < _counts.Length; expert++)
        {
            int count = _counts[expert];
            if (count == 0)
            {
                continue;
            }

            Inputs[ActiveCount].Show(column, count);
            Gated[ActiveCount].Show(column, count);
            _experts[ActiveCount] = expert;
            _firsts[ActiveCount] = first;
            column += ActivationLayout.PaddedColumnCount(count);
            first += count;

            // From here on: index of the active expert, and how many tokens it has got.
            _counts[expert] = ActiveCount++;
        }

        _firsts[ActiveCount] = first;
        Span<int> filled = stackalloc int[ActiveCount];
        filled.Clear();
        for (int i = 0; i < AssignmentCount; i++)
        {
            int active = _counts[_chosen[i]];
            _activeOf[i] = active;
            _columnOf[i] = filled[active]++;
            _assignments[_firsts[active] + _columnOf[i]] = i;
        }
    }

    /// <summary>Number of an active expert.</summary>
    public int Expert(int active) => _experts[active];

    /// <summary>A pair: the token, the active expert, the token's column there, and its weight.</summary>
    public (int Token, int Active, int Column, float Share) Assignment(int index) =>
        (index / _usedCount, _activeOf[index], _columnOf[index], _shares[index]);

    /// <summary>Which token stands in a column of an active expert, and its weight.</summary>
    public (int Token, float Share) TokenOf(int active, int column)
    {
        int assignment = _assignments[_firsts[active] + column];
        return (assignment / _usedCount, _shares[assignment]);
    }
}
