using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>
/// Experts: router and the shared part's gate | choose | sort the tokens by expert | copy each token to its experts | gate and up of each expert
/// with its tokens | down, added up token by token in the order of the experts. What each of these writes depends on the token alone.
/// </content>
internal sealed unsafe partial class TransformerForward
{
    private ExpertPlan? _expertPlan;
    private ExpertTokens? _expertTokens;
    private ExpertChoice[] _choices = [];
    private float* _router;
    private float* _sharedGates;
    private BatchInput? _gathered;
    private BatchInput? _expertGated;
    private BatchInput? _routerInput;
    private float* _dense;

    private void CreateExperts()
    {
        ExpertWeights[] layers = [.. _weights.Layers.Where(static l => l.Experts != null).Select(static l => l.Experts!)];
        if (layers.Length == 0)
        {
            return;
        }

        _expertPlan = layers[0].Plan;
        _router = Floats(_columnCapacity, _expertPlan.Count);
        _sharedGates = Floats(1, _columnCapacity);
        _choices = PerThread(_ => new ExpertChoice(_expertPlan));
        int columns = ExpertTokens.ColumnCapacity(_expertPlan, _tokenCapacity);
        _gathered = new BatchInput(_plan.EmbeddingLength, columns, layers.Any(LayerInputs.ReadsQuantizedGathered));
        _expertGated = new BatchInput(_expertPlan.Length, columns, layers.Any(static l => l.Experts[0].Down.ReadsQuantized));
        if (layers.Any(static l => l.Beside != null))
        {
            _dense = Floats(_columnCapacity, _plan.EmbeddingLength);
            _routerInput = new BatchInput(_plan.EmbeddingLength, _columnCapacity, layers.Any(static l => l.Router.ReadsQuantized));
            _inputs.Add(_routerInput);
        }

        _expertTokens = new ExpertTokens(_expertPlan, _tokenCapacity, _gathered, _expertGated);
    }

    // From the normalised input to what is added to the residual.
    private void Consult(ExpertWeights weights, BranchEnd end, BatchInput input, BatchInput? sharedGated, int threadIndex)
    {
        Route(weights, _routerInput ?? input, sharedGated, threadIndex);
        _team.Barrier();
        Choose(weights, input, threadIndex);
        _team.Barrier();
        Gather(weights, input, threadIndex);
        _team.Barrier();
        GateExperts(weights, threadIndex);
        _team.Barrier();
        AddExperts(weights, end, sharedGated, threadIndex);
    }

    private float* Dense(int column) => _dense + ((long)column * Padded(_plan.EmbeddingLength));

    // The dense part's result waits until the experts' is there.
    private void ConsultBeside(LayerWeights weights, BatchInput gated, int threadIndex)
    {
        BesideWeights beside = weights.Experts!.Beside!;
        PackedMatrix down = weights.FeedForward!.Down;
        int length = _plan.EmbeddingLength;
        while (_team.TryClaim(threadIndex, down.GroupCount, GroupShare(down.GroupCount), out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                down.MultiplyGroup(g, gated, _dense + (g * GroupRows), Padded(length), false);
            }
        }

        _team.Barrier();
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            Normalize(Dense(t), beside.DenseNorm, Dense(t));
            Normalize(Residual(t), beside.InputNorm, _normed.Column(t));
            _normed.Seal(t);
            float* router = _routerInput!.Column(t);
            new ReadOnlySpan<float>(Residual(t), length).CopyTo(new Span<float>(router, length));
            VectorMath.UnitRms(router, length, _plan.NormEpsilon);
            VectorMath.Scale(router, length, 1 / MathF.Sqrt(length));
            VectorMath.Multiply(router, beside.RouterScale, length);
            _routerInput.Seal(t);
        }

        _team.Barrier();
        Consult(weights.Experts, weights.FeedForwardEnd, _normed, null, threadIndex);
    }

    private void Route(ExpertWeights weights, BatchInput input, BatchInput? sharedGated, int threadIndex)
    {
        int groups = weights.Router.GroupCount;
        int items = groups + (weights.Shared == null ? 0 : GateItems(weights.Shared));
        while (_team.TryClaim(threadIndex, items, 1, out int item, out _))
        {
            if (item < groups)
            {
                weights.Router.MultiplyGroup(item, input, _router + (item * GroupRows), Padded(weights.Plan.Count), false);
            }
            else
            {
                Gate(weights.Shared!, item - groups, input, sharedGated!, _scratch[threadIndex]);
            }
        }
    }

    private void Choose(ExpertWeights weights, BatchInput input, int threadIndex)
    {
        if (_ownsInput)
        {
            if (threadIndex == 0)
            {
                for (int t = 0; t < _batch.TokenCount; t++)
                {
                    Choose(weights, input, t, threadIndex);
                }
            }
        }
        else
        {
            while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
            {
                Choose(weights, input, t, threadIndex);
            }

            _team.Barrier();
        }

        if (threadIndex == 0)
        {
            _expertTokens!.Sort(_batch.TokenCount);
        }
    }

    private void Choose(ExpertWeights weights, BatchInput input, int t, int threadIndex)
    {
        int count = weights.Plan.Count;
        float* logits = _router + (t * Padded(count));
        if (weights.RouterBias != null)
        {
            VectorMath.Add(logits, weights.RouterBias, Padded(count));
        }

        ReadOnlySpan<float> bias = weights.ChoiceBias == null ? [] : new ReadOnlySpan<float>(weights.ChoiceBias, count);
        _choices[threadIndex].Choose(new ReadOnlySpan<float>(logits, count), bias, _expertTokens!.Chosen(t), _expertTokens.Shares(t));
        for (int i = 0; weights.Beside is { DownScale: not null } && i < weights.Plan.UsedCount; i++)
        {
            _expertTokens.Shares(t)[i] *= weights.Beside.DownScale[_expertTokens.Chosen(t)[i]];
        }

        if (weights.SharedGate != null)
        {
            _sharedGates[t] = 1 / (1 + MathF.Exp(-VectorMath.Dot(weights.SharedGate, input.Column(t), _plan.EmbeddingLength)));
        }
    }

    private void Gather(ExpertWeights weights, BatchInput input, int threadIndex)
    {
        int length = _plan.EmbeddingLength;
        ExpertTokens tokens = _expertTokens!;
        while (_team.TryClaim(threadIndex, tokens.AssignmentCount, 1, out int assignment, out _))
        {
            (int t, int active, int column, float share) = tokens.Assignment(assignment);
            BatchInput target = tokens.Inputs[active];
            float* source = input.Column(t);
            if (target.Quantized is { } quantized && !weights.Plan.WeighsInput)
            {
                quantized.Quantize(column, source, 0, length / ActivationLayout.BlockLength);
                if (LayerInputs.ReadsQuantizedGathered(weights))
                {
                    continue;
                }
            }

            new ReadOnlySpan<float>(source, length).CopyTo(new Span<float>(target.Column(column), length));
            if (weights.Plan.WeighsInput)
            {
                VectorMath.Scale(target.Column(column), length, share);
                target.Seal(column);
            }
        }
    }

    private void GateExperts(ExpertWeights weights, int threadIndex)
    {
        ExpertTokens tokens = _expertTokens!;
        int itemsOfExpert = GateItems(weights.Experts[0]);
        while (_team.TryClaim(threadIndex, tokens.ActiveCount * itemsOfExpert, 1, out int item, out _))
        {
            int active = item / itemsOfExpert;
            FeedForwardWeights expert = weights.Experts[tokens.Expert(active)];
            Gate(expert, item % itemsOfExpert, tokens.Inputs[active], tokens.Gated[active], _scratch[threadIndex]);
        }
    }

    // Rows of the output are shared out, not experts: so each sum has one order, and nobody waits for another's part of it.
    private void AddExperts(ExpertWeights weights, BranchEnd end, BatchInput? sharedGated, int threadIndex)
    {
        ExpertTokens tokens = _expertTokens!;
        bool isPlain = end.IsPlain;
        float* scratch = _scratch[threadIndex];
        while (_team.TryClaim(threadIndex, Padded(_plan.EmbeddingLength) / GroupRows, 1, out int g, out _))
        {
            for (int t = 0; !isPlain && t < _batch.TokenCount; t++)
            {
                new Span<float>(Delta(t) + (g * GroupRows), GroupRows).Clear();
            }

            if (weights.Shared is { } shared)
            {
                shared.Down.MultiplyGroup(g, sharedGated!, scratch, GroupRows, false);
                for (int t = 0; t < _batch.TokenCount; t++)
                {
                    AddRows(isPlain, t, g, scratch + (t * GroupRows), weights.SharedGate == null ? 1 : _sharedGates[t]);
                }
            }

            for (int active = 0; active < tokens.ActiveCount; active++)
            {
                int expert = tokens.Expert(active);
                weights.Experts[expert].Down.MultiplyGroup(g, tokens.Gated[active], scratch, GroupRows, false);
                for (int column = 0; column < tokens.Gated[active].ColumnCount; column++)
                {
                    float* rows = scratch + (column * GroupRows);
                    if (weights.DownBiases.Length > 0)
                    {
                        VectorMath.Add(rows, weights.DownBiases[expert] + (g * GroupRows), GroupRows);
                    }

                    (int t, float share) = tokens.TokenOf(active, column);
                    AddRows(isPlain, t, g, rows, weights.Plan.WeighsInput ? 1 : share);
                }
            }
        }
    }

    private void AddRows(bool isPlain, int t, int group, float* rows, float share) =>
        VectorMath.AddScaled((isPlain ? Residual(t) : Delta(t)) + (group * GroupRows), rows, share, GroupRows);
}
