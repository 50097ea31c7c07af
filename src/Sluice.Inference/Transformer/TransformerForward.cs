using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>
/// One pass of a batch through all layers, run by every thread of a team at once. Between two meetings the threads share out the items of one
/// phase; what an item writes, only that item and later phases read. For a layer of Llama:
/// norm and quantise | query, key, value | rotate and cache | attend | output projection onto the residual | norm and quantise |
/// gate, up and SwiGLU | down projection onto the residual. Steps of few tokens do without the meetings after the norms,
/// and where no sequence has many tokens, what rotates also attends. What a plan says beyond that happens within these phases, except for
/// experts and recurrent layers, which have phases of their own, and results that are normalised before they are added, which takes the meeting after the norm.
/// </summary>
internal sealed unsafe partial class TransformerForward : ITeamJob, IDisposable
{
    private const int GroupRows = PackedMatrix.GroupRows;

    // Up to here each thread normalises and quantises all tokens for itself: that is sooner done than met about.
    private const int OwnInputTokensMax = 4;

    private readonly ModelPlan _plan;
    private readonly TransformerWeights _weights;
    private readonly KvCache _cache;
    private readonly WorkerTeam _team;
    private readonly int _tokenCapacity;
    private readonly int _columnCapacity;
    private readonly List<IDisposable> _owned = [];

    private readonly float* _residual;
    private readonly float* _delta;
    private readonly float*[] _scratch;
    private readonly BatchInput _normed;
    private readonly BatchInput[] _ownNormed;
    private readonly BatchInput _headInput;
    private readonly BatchInput?[] _mixed;
    private readonly BatchInput?[] _recurred;
    private readonly BatchInput?[] _gated;
    private readonly List<BatchInput> _inputs = [];
    private readonly int[] _runOfColumn;

    private StepBatch _batch = null!;
    private bool _ownsInput;
    private Func<bool>? _isAbandoned;
    private volatile int _abandonedAt;

    /// <param name="plan">What to compute.</param>
    /// <param name="weights">Those of the plan.</param>
    /// <param name="cache">Keys and values of all sequences.</param>
    /// <param name="team">The threads.</param>
    /// <param name="tokenCapacity">Most tokens of a batch.</param>
    /// <param name="rowCapacity">Most tokens of a batch whose logits, or last vectors, are wanted.</param>
    public TransformerForward(ModelPlan plan, TransformerWeights weights, KvCache cache, WorkerTeam team, int tokenCapacity, int rowCapacity)
    {
        _plan = plan;
        _weights = weights;
        _cache = cache;
        _team = team;
        _tokenCapacity = tokenCapacity;
        _columnCapacity = ActivationLayout.PaddedColumnCount(tokenCapacity);
        LayerWeights[] layers = weights.Layers;
        int embedding = plan.EmbeddingLength;

        _residual = Floats(_columnCapacity, embedding);
        if (layers.Any(static l => !l.MixerEnd.IsPlain || !l.FeedForwardEnd.IsPlain || l.PerLayer != null))
        {
            _delta = Floats(_columnCapacity, embedding);
        }

        _normed = new BatchInput(embedding, _columnCapacity, layers.Any(LayerInputs.ReadsQuantizedEmbedding) || weights.PerLayer?.Projection.ReadsQuantized == true);
        _ownNormed = PerThread(_ => Own(new BatchInput(embedding, OwnInputTokensMax, _normed.Quantized != null)));
        _headInput = new BatchInput(embedding, rowCapacity, weights.Head?.ReadsQuantized == true);
        _scratch = new float*[team.ThreadCount];
        for (int i = 0; i < _scratch.Length; i++)
        {
            _scratch[i] = Floats(_columnCapacity, 4 * GroupRows);
        }

        _mixed = Inputs(static l => l.Attention?.Output.Length, static l => l.Attention!.Output.ReadsQuantized);
        _recurred = Inputs(static l => l.Recurrent?.Output.Length, static l => l.Recurrent!.Output.ReadsQuantized);
        _gated = Inputs(LayerInputs.GatedLength, LayerInputs.ReadsQuantizedGated);
        _runOfColumn = new int[_columnCapacity];
        CreateAttention();
        CreateLatent();
        CreateStates();
        CreatePerLayer();
        CreateExperts();
        LogitStride = (weights.Head?.GroupCount ?? 0) * GroupRows;
        _logits = Floats(rowCapacity, LogitStride);
    }

    public long SizeBytes { get; private set; }

    /// <summary>Computes a batch.</summary>
    /// <param name="batch">At least one token, at most the capacity; caches have room.</param>
    /// <param name="isAbandoned">Asked between layers on the calling thread: true ends the pass early.</param>
    /// <returns>False when the pass was abandoned; then no logits and no keys or values of this batch are valid.</returns>
    public bool Run(StepBatch batch, Func<bool>? isAbandoned)
    {
        if (batch.TokenCount == 0 || batch.TokenCount > _tokenCapacity)
        {
            throw new ArgumentException($"Expected 1 to {_tokenCapacity} tokens, found {batch.TokenCount}.", nameof(batch));
        }

        _batch = batch;
        _isAbandoned = isAbandoned;
        _abandonedAt = int.MaxValue;
        _normed.Begin(batch.TokenCount);
        _ownsInput = batch.TokenCount <= OwnInputTokensMax;
        if (_ownsInput)
        {
            foreach (BatchInput own in _ownNormed)
            {
                own.Begin(batch.TokenCount);
            }
        }

        foreach (BatchInput input in _inputs)
        {
            input.Begin(batch.TokenCount);
        }

        _headInput.Begin(batch.LogitRowCount);
        for (int r = 0; r < batch.Runs.Count; r++)
        {
            StepRun run = batch.Runs[r];
            _runOfColumn.AsSpan(run.FirstColumn, run.Count).Fill(r);
        }

        PlanAttention();
        BeginStates();
        _team.Run(this);
        bool isComputed = _abandonedAt == int.MaxValue;
        EndStates(isComputed);
        return isComputed;
    }

    void ITeamJob.Execute(int threadIndex)
    {
        Embed(threadIndex);
        _team.Barrier();

        if (_weights.PerLayer != null)
        {
            ReadPerLayer(_weights.PerLayer, threadIndex);
        }

        // What the branch before has left to do; null when its result is on the residual already.
        BranchEnd? before = null;
        for (int layer = 0; layer < _weights.Layers.Length; layer++)
        {
            if (threadIndex == 0 && _isAbandoned?.Invoke() == true)
            {
                _abandonedAt = layer;
            }

            LayerWeights weights = _weights.Layers[layer];
            if (weights.Attention != null || weights.Recurrent != null)
            {
                BatchInput input = Enter(before, weights.MixerNorm, threadIndex);
                bool isAdded = false;
                if (weights.Recurrent != null)
                {
                    Recur(weights, layer, input, threadIndex);
                    MultiplyOnto(weights.MixerEnd, weights.Recurrent.Output, _recurred[layer]!, threadIndex);
                    isAdded = true;
                    _team.Barrier();
                }

                if (weights.Attention != null)
                {
                    if (weights.Attention.Latent != null)
                    {
                        AttendLatent(weights, layer, input, threadIndex);
                    }
                    else
                    {
                        Attend(weights, layer, input, threadIndex);
                    }

                    MultiplyOnto(weights.MixerEnd, weights.Attention.Output, _mixed[layer]!, threadIndex, isAdded);
                    _team.Barrier();
                }

                before = weights.MixerEnd.IsPlain ? null : weights.MixerEnd;

                // By now all threads have met since it was set, so all of them return here, or none.
                if (_abandonedAt <= layer)
                {
                    return;
                }
            }

            if (weights.FeedForward != null)
            {
                BatchInput input = Enter(before, weights.FeedForwardNorm, threadIndex);
                FeedForward(weights.FeedForward, input, _gated[layer]!, threadIndex);
                _team.Barrier();
                if (weights.Experts != null)
                {
                    ConsultBeside(weights, _gated[layer]!, threadIndex);
                    before = weights.FeedForwardEnd;
                    _team.Barrier();
                }
                else
                {
                    MultiplyOnto(weights.FeedForwardEnd, weights.FeedForward.Down, _gated[layer]!, threadIndex);
                    before = weights.FeedForwardEnd.IsPlain ? null : weights.FeedForwardEnd;
                    _team.Barrier();
                }
            }
            else if (weights.Experts != null)
            {
                BatchInput input = Enter(before, weights.FeedForwardNorm, threadIndex);
                Consult(weights.Experts, weights.FeedForwardEnd, input, _gated[layer], threadIndex);
                before = weights.FeedForwardEnd.IsPlain ? null : weights.FeedForwardEnd;
                _team.Barrier();
            }

            if (weights.PerLayer != null)
            {
                BatchInput input = Enter(before, default, threadIndex);
                GatePerLayer(weights.PerLayer, layer, input, threadIndex);
                _team.Barrier();
                MultiplyOnto(weights.PerLayer.End, weights.PerLayer.Projection, _perLayerGated!, threadIndex);
                before = weights.PerLayer.End;
                _team.Barrier();
            }
        }

        NormalizeLogitRows(before, threadIndex);
        _team.Barrier();
        ComputeLogits(threadIndex);
    }

    public void Dispose()
    {
        _normed.Dispose();
        _headInput.Dispose();
        _queryInput?.Dispose();
        _perLayerGated?.Dispose();
        _routerInput?.Dispose();
        _gathered?.Dispose();
        _expertGated?.Dispose();
        foreach (IDisposable owned in _owned)
        {
            owned.Dispose();
        }
    }

    private T[] PerThread<T>(Func<int, T> create) => [.. Enumerable.Range(0, _team.ThreadCount).Select(create)];

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    // Rows of matrices are padded to whole groups, so every column of an output is, too.
    private static int Padded(int length) => (length + GroupRows - 1) / GroupRows * GroupRows;

    private float* Floats(int columns, int length)
    {
        NativeBuffer buffer = Own(new NativeBuffer((long)columns * Padded(length) * sizeof(float)));
        SizeBytes += buffer.SizeBytes;
        return buffer.Singles;
    }

    // One input for all layers that have the same length.
    private BatchInput?[] Inputs(Func<LayerWeights, int?> length, Func<LayerWeights, bool> readsQuantized)
    {
        Dictionary<int, BatchInput> byLength = _weights.Layers.Where(l => length(l) > 0).GroupBy(l => length(l)!.Value).ToDictionary(
            static group => group.Key, group => Own(new BatchInput(group.Key, _columnCapacity, group.Any(readsQuantized))));
        _inputs.AddRange(byLength.Values);
        return [.. _weights.Layers.Select(l => length(l) is > 0 and var found ? byLength[found] : null)];
    }

    // A step of one token reads each weight once: larger shares mean fewer visits to the counters.
    private int GroupShare(int groupCount) => Math.Max(1, Math.Min(groupCount / (_team.ThreadCount * 8), 64 / _batch.TokenCount));

    // A result that is not plain waits in a place of its own; adds is for what is the second there.
    private void MultiplyOnto(BranchEnd branch, PackedMatrix matrix, BatchInput input, int threadIndex, bool adds = false)
    {
        int share = GroupShare(matrix.GroupCount);
        int stride = Padded(_plan.EmbeddingLength);
        bool isPlain = branch.IsPlain;
        float* target = isPlain ? _residual : _delta;
        while (_team.TryClaim(threadIndex, matrix.GroupCount, share, out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                matrix.MultiplyGroup(g, input, target + (g * GroupRows), stride, isPlain || adds);
            }
        }
    }
}
