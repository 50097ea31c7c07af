using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>
/// One pass of a batch through all layers, run by every thread of a team at once. Between two meetings the threads share out the items of one
/// phase; what an item writes, only that item and later phases read:
/// norm and quantise | query, key, value | rotate and cache | attend | output projection onto the residual | norm and quantise |
/// gate, up and SwiGLU | down projection onto the residual. Steps of few tokens do without the meetings after the norms,
/// and where no sequence has many tokens, what rotates also attends.
/// </summary>
internal sealed unsafe class TransformerForward : ITeamJob, IDisposable
{
    private const int GroupRows = PackedMatrix.GroupRows;

    // Up to here each thread normalises and quantises all tokens for itself: that is sooner done than met about.
    private const int OwnInputTokensMax = 4;

    // Query rows of one attention item: enough to reuse the widened keys, few enough to share a prompt among threads.
    private const int AttentionRowsMax = 32;

    private readonly TransformerConfig _config;
    private readonly TransformerWeights _weights;
    private readonly RopeTable _rope;
    private readonly KvCache _cache;
    private readonly WorkerTeam _team;
    private readonly int _tokenCapacity;
    private readonly int _ropeStride;

    private readonly NativeBuffer _residual;
    private readonly NativeBuffer _queries;
    private readonly NativeBuffer _keys;
    private readonly NativeBuffer _values;
    private readonly NativeBuffer _angles;
    private readonly NativeBuffer _logits;
    private readonly BatchInput _normed;
    private readonly BatchInput[] _ownNormed;
    private readonly BatchInput _attended;
    private readonly BatchInput _gated;
    private readonly BatchInput _headInput;
    private readonly NativeBuffer[] _gateScratch;
    private readonly AttentionKernel[] _attention;
    private readonly NativeBuffer[] _tokenScratch;
    private readonly int _attentionTileTokens;
    private readonly List<(int Run, int FirstToken, int Count)> _attentionTiles = [];
    private readonly int[] _runOfColumn;

    private StepBatch _batch = null!;
    private bool _ownsInput;
    private bool _rotatesWhereItAttends;
    private Func<bool>? _isAbandoned;
    private volatile bool _abandoned;

    public TransformerForward(
        TransformerConfig config, TransformerWeights weights, KvCache cache, WorkerTeam team, int tokenCapacity, int logitRowCapacity)
    {
        _config = config;
        _weights = weights;
        _cache = cache;
        _team = team;
        _tokenCapacity = tokenCapacity;
        _rope = new RopeTable(config.Rope, weights.RopeDivisors);
        _ropeStride = 2 * _rope.PairCount;
        int capacity = ActivationLayout.PaddedColumnCount(tokenCapacity);
        LogitStride = weights.Head.GroupCount * GroupRows;

        _residual = Floats(capacity, config.EmbeddingLength);
        _queries = Floats(capacity, config.QueryLength);
        _keys = Floats(capacity, config.KeyValueLength);
        _values = Floats(capacity, config.KeyValueLength);
        _angles = Floats(capacity, _ropeStride);
        _logits = Floats(logitRowCapacity, LogitStride);
        LayerWeights[] layers = weights.Layers;
        _normed = new BatchInput(
            config.EmbeddingLength, capacity, layers.Any(l => Quantized(l.Query, l.Key, l.Value, l.Gate, l.Up)));
        _ownNormed = PerThread(_ => new BatchInput(config.EmbeddingLength, OwnInputTokensMax, _normed.Quantized != null));
        _attended = new BatchInput(config.QueryLength, capacity, layers.Any(l => l.AttentionOutput.ReadsQuantized));
        _gated = new BatchInput(config.FeedForwardLength, capacity, layers.Any(l => l.Down.ReadsQuantized));
        _headInput = new BatchInput(config.EmbeddingLength, logitRowCapacity, weights.Head.ReadsQuantized);
        _attentionTileTokens = Math.Max(1, AttentionRowsMax / config.GroupSize);
        int rows = _attentionTileTokens * config.GroupSize;
        _gateScratch = PerThread(_ => Floats(capacity, 4 * GroupRows));
        _attention = PerThread(_ => new AttentionKernel(config.KeyLength, rows));
        _tokenScratch = PerThread(_ => new NativeBuffer((long)rows * ((2 * sizeof(void*)) + sizeof(int))));
        _runOfColumn = new int[capacity];
    }

    /// <summary>Floats from one row of logits to the next.</summary>
    public int LogitStride { get; }

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
        _abandoned = false;
        _normed.Begin(batch.TokenCount);
        _ownsInput = batch.TokenCount <= OwnInputTokensMax;
        if (_ownsInput)
        {
            foreach (BatchInput own in _ownNormed)
            {
                own.Begin(batch.TokenCount);
            }
        }

        _rotatesWhereItAttends = true;
        _attended.Begin(batch.TokenCount);
        _gated.Begin(batch.TokenCount);
        _headInput.Begin(batch.LogitRowCount);
        _attentionTiles.Clear();
        for (int r = 0; r < batch.Runs.Count; r++)
        {
            StepRun run = batch.Runs[r];
            _runOfColumn.AsSpan(run.FirstColumn, run.Count).Fill(r);

            // Then the only keys of this step that an attention item reads are those of its own tokens.
            _rotatesWhereItAttends &= run.Count <= _attentionTileTokens;
            for (int first = 0; first < run.Count; first += _attentionTileTokens)
            {
                _attentionTiles.Add((r, first, Math.Min(_attentionTileTokens, run.Count - first)));
            }
        }

        _team.Run(this);
        return !_abandoned;
    }

    /// <summary>Logits of a row, valid until the next batch: one float per token of the vocabulary.</summary>
    public Span<float> Logits(int row) => new(_logits.Singles + ((long)row * LogitStride), _weights.VocabularySize);

    void ITeamJob.Execute(int threadIndex)
    {
        Embed(threadIndex);
        _team.Barrier();
        for (int layer = 0; layer < _config.BlockCount; layer++)
        {
            if (threadIndex == 0 && _isAbandoned?.Invoke() == true)
            {
                _abandoned = true;
            }

            LayerWeights weights = _weights.Layers[layer];
            BatchInput input = Normalize(weights.AttentionNorm, threadIndex);
            Project(weights, input, threadIndex);
            _team.Barrier();
            if (_abandoned)
            {
                return;
            }

            if (!_rotatesWhereItAttends)
            {
                RotateAndCache(weights, layer, threadIndex);
                _team.Barrier();
            }

            Attend(weights, layer, threadIndex);
            _team.Barrier();
            if (_config.KeyLength * _config.GroupSize % ActivationLayout.BlockLength != 0)
            {
                while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
                {
                    _attended.Seal(t);
                }

                _team.Barrier();
            }

            MultiplyOntoResidual(weights.AttentionOutput, _attended, threadIndex);
            _team.Barrier();
            input = Normalize(weights.FeedForwardNorm, threadIndex);
            FeedForward(weights, input, threadIndex);
            _team.Barrier();
            MultiplyOntoResidual(weights.Down, _gated, threadIndex);
            _team.Barrier();
        }

        NormalizeLogitRows(threadIndex);
        _team.Barrier();
        ComputeLogits(threadIndex);
    }

    public void Dispose()
    {
        _residual.Dispose();
        _queries.Dispose();
        _keys.Dispose();
        _values.Dispose();
        _angles.Dispose();
        _logits.Dispose();
        _normed.Dispose();
        _attended.Dispose();
        _gated.Dispose();
        _headInput.Dispose();
        foreach (IDisposable perThread in (IDisposable[])[.. _gateScratch, .. _attention, .. _tokenScratch, .. _ownNormed])
        {
            perThread.Dispose();
        }
    }

    private static bool Quantized(params ReadOnlySpan<PackedMatrix> matrices)
    {
        foreach (PackedMatrix matrix in matrices)
        {
            if (matrix.ReadsQuantized)
            {
                return true;
            }
        }

        return false;
    }

    private T[] PerThread<T>(Func<int, T> create) => [.. Enumerable.Range(0, _team.ThreadCount).Select(create)];

    // Rows of matrices are padded to whole groups, so every column of an output is, too.
    private static int Padded(int length) => (length + GroupRows - 1) / GroupRows * GroupRows;

    private NativeBuffer Floats(int columns, int length)
    {
        var buffer = new NativeBuffer((long)columns * Padded(length) * sizeof(float));
        SizeBytes += buffer.SizeBytes;
        return buffer;
    }

    private float* Residual(int column) => _residual.Singles + ((long)column * Padded(_config.EmbeddingLength));

    private float* Queries(int column) => _queries.Singles + ((long)column * Padded(_config.QueryLength));

    private float* Keys(int column) => _keys.Singles + ((long)column * Padded(_config.KeyValueLength));

    private float* Values(int column) => _values.Singles + ((long)column * Padded(_config.KeyValueLength));

    private float* Angles(int column) => _angles.Singles + ((long)column * Padded(_ropeStride));

    private void Embed(int threadIndex)
    {
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            StepRun run = _batch.Runs[_runOfColumn[t]];
            int position = run.Start + t - run.FirstColumn;
            _weights.ReadEmbedding(run.TokenAt(position), Residual(t));
            _rope.Fill(position, Angles(t));
        }
    }

    // Returns the columns that the calling thread multiplies with: its own copy, or the shared ones once all threads have done their part.
    private BatchInput Normalize(float* weight, int threadIndex)
    {
        if (_ownsInput)
        {
            BatchInput own = _ownNormed[threadIndex];
            for (int t = 0; t < _batch.TokenCount; t++)
            {
                NormalizeColumn(t, weight, own);
            }

            return own;
        }

        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            NormalizeColumn(t, weight, _normed);
        }

        _team.Barrier();
        return _normed;
    }

    private void NormalizeColumn(int t, float* weight, BatchInput input)
    {
        VectorMath.RmsNorm(Residual(t), weight, input.Column(t), _config.EmbeddingLength, _config.RmsEpsilon);
        input.Seal(t);
    }

    // A step of one token reads each weight once: larger shares mean fewer visits to the counters.
    private int GroupShare(int groupCount) => Math.Max(1, Math.Min(groupCount / (_team.ThreadCount * 8), 64 / _batch.TokenCount));

    private void Project(LayerWeights weights, BatchInput input, int threadIndex)
    {
        int queryGroups = weights.Query.GroupCount;
        int keyGroups = weights.Key.GroupCount;
        int total = queryGroups + keyGroups + weights.Value.GroupCount;
        int share = GroupShare(total);
        while (_team.TryClaim(threadIndex, total, share, out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                if (g < queryGroups)
                {
                    weights.Query.MultiplyGroup(g, input, Queries(0) + (g * GroupRows), Padded(_config.QueryLength), false);
                }
                else if (g < queryGroups + keyGroups)
                {
                    int k = g - queryGroups;
                    weights.Key.MultiplyGroup(k, input, Keys(0) + (k * GroupRows), Padded(_config.KeyValueLength), false);
                }
                else
                {
                    int v = g - queryGroups - keyGroups;
                    weights.Value.MultiplyGroup(v, input, Values(0) + (v * GroupRows), Padded(_config.KeyValueLength), false);
                }
            }
        }
    }

    private void RotateAndCache(LayerWeights weights, int layer, int threadIndex)
    {
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            for (int head = 0; head < _config.HeadCountKv; head++)
            {
                RotateAndCacheHead(weights, layer, head, t);
            }
        }
    }

    // One key/value head of a token and the query heads that read it.
    private void RotateAndCacheHead(LayerWeights weights, int layer, int head, int t)
    {
        StepRun run = _batch.Runs[_runOfColumn[t]];
        int position = run.Start + t - run.FirstColumn;
        int keyOffset = head * _config.KeyLength;
        Prepare(Queries(t), weights.QueryBias, weights.QueryNorm, head * _config.GroupSize, _config.GroupSize, Angles(t));
        Prepare(Keys(t), weights.KeyBias, weights.KeyNorm, head, 1, Angles(t));
        if (weights.ValueBias != null)
        {
            VectorMath.Add(Values(t) + keyOffset, weights.ValueBias + keyOffset, _config.KeyLength);
        }

        int block = run.Sequence.Blocks[position / TransformerLimits.KvBlockTokens];
        CacheHead(
            _cache.Keys(block, layer, head), _cache.Values(block, layer, head), position % TransformerLimits.KvBlockTokens,
            Keys(t) + keyOffset, Values(t) + keyOffset);
    }

    private void Prepare(float* heads, float* bias, float* norm, int firstHead, int headCount, float* angles)
    {
        int offset = firstHead * _config.KeyLength;
        if (bias != null)
        {
            VectorMath.Add(heads + offset, bias + offset, headCount * _config.KeyLength);
        }

        for (int head = 0; head < headCount; head++)
        {
            float* x = heads + offset + (head * _config.KeyLength);
            if (norm != null)
            {
                VectorMath.RmsNorm(x, norm, x, _config.KeyLength, _config.RmsEpsilon);
            }

            _rope.Rotate(x, angles);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void CacheHead(ushort* keys, ushort* values, int within, float* key, float* value)
    {
        int length = _config.KeyLength;
        ushort* halves = stackalloc ushort[VectorMath.Lanes];
        ushort* tile = keys + (within / VectorMath.Lanes * VectorMath.Lanes * length) + (within % VectorMath.Lanes);
        for (int d = 0; d < length; d += VectorMath.Lanes)
        {
            VectorMath.ToHalf(Vector512.Load(key + d)).Store(halves);
            for (int i = 0; i < VectorMath.Lanes; i++)
            {
                tile[(d + i) * VectorMath.Lanes] = halves[i];
            }

            VectorMath.ToHalf(Vector512.Load(value + d)).Store(values + (within * length) + d);
        }
    }

    private void Attend(LayerWeights weights, int layer, int threadIndex)
    {
        int groupSize = _config.GroupSize;
        int length = _config.KeyLength;
        int headCountKv = _config.HeadCountKv;
        int rowCapacity = _attentionTileTokens * groupSize;
        float** queries = (float**)_tokenScratch[threadIndex].Bytes;
        float** outputs = queries + rowCapacity;
        int* positions = (int*)(outputs + rowCapacity);
        bool sealHere = length * groupSize % ActivationLayout.BlockLength == 0;
        float scale = 1f / MathF.Sqrt(length);
        int total = _attentionTiles.Count * headCountKv;
        while (_team.TryClaim(threadIndex, total, 1, out int item, out _))
        {
            // The tiles with the longest history are the last ones of a prompt; they come first in a thread's part, so that
            // no thread is left with a long one at the end.
            (int runIndex, int firstToken, int count) = _attentionTiles[_attentionTiles.Count - 1 - (item / headCountKv)];
            int head = item % headCountKv;
            StepRun run = _batch.Runs[runIndex];
            if (_rotatesWhereItAttends)
            {
                for (int i = 0; i < count; i++)
                {
                    RotateAndCacheHead(weights, layer, head, run.FirstColumn + i);
                }
            }

            int rows = 0;
            for (int i = 0; i < count; i++)
            {
                int column = run.FirstColumn + firstToken + i;
                for (int g = 0; g < groupSize; g++)
                {
                    int offset = ((head * groupSize) + g) * length;
                    queries[rows] = Queries(column) + offset;
                    outputs[rows] = _attended.Column(column) + offset;
                    positions[rows] = run.Start + firstToken + i;
                    rows++;
                }
            }

            _attention[threadIndex].Run(_cache, run.Sequence, layer, head, queries, positions, outputs, rows, scale);
            if (sealHere && _attended.Quantized is { } quantized)
            {
                int blocks = length * groupSize / ActivationLayout.BlockLength;
                for (int i = 0; i < count; i++)
                {
                    quantized.Quantize(run.FirstColumn + firstToken + i, outputs[i * groupSize], head * blocks, blocks);
                }
            }
        }
    }

    private void MultiplyOntoResidual(PackedMatrix matrix, BatchInput input, int threadIndex)
    {
        int share = GroupShare(matrix.GroupCount);
        int stride = Padded(_config.EmbeddingLength);
        while (_team.TryClaim(threadIndex, matrix.GroupCount, share, out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                matrix.MultiplyGroup(g, input, Residual(0) + (g * GroupRows), stride, true);
            }
        }
    }

    // An item is 32 gate rows and the same up rows: their products make exactly one block of quantised activations.
    private void FeedForward(LayerWeights weights, BatchInput input, int threadIndex)
    {
        const int Stride = 4 * GroupRows;
        int groupCount = weights.Gate.GroupCount;
        int itemCount = (groupCount + 1) / 2;
        float* scratch = _gateScratch[threadIndex].Singles;
        while (_team.TryClaim(threadIndex, itemCount, 1, out int item, out _))
        {
            int group = item * 2;
            int groups = Math.Min(2, groupCount - group);
            for (int g = 0; g < groups; g++)
            {
                weights.Gate.MultiplyGroup(group + g, input, scratch + (g * GroupRows), Stride, false);
                weights.Up.MultiplyGroup(group + g, input, scratch + ((2 + g) * GroupRows), Stride, false);
            }

            for (int t = 0; t < _batch.TokenCount; t++)
            {
                float* gate = scratch + (t * Stride);
                float* output = _gated.Column(t) + (group * GroupRows);
                VectorMath.SwiGlu(gate, gate + (2 * GroupRows), output, groups * GroupRows);
                _gated.Quantized?.Quantize(t, output, item, 1);
            }
        }
    }

    private void NormalizeLogitRows(int threadIndex)
    {
        while (_team.TryClaim(threadIndex, _batch.Runs.Count, 1, out int r, out _))
        {
            StepRun run = _batch.Runs[r];
            int end = run.FirstColumn + run.Count;
            for (int i = 0; i < run.LogitCount; i++)
            {
                int row = run.FirstLogitRow + i;
                VectorMath.RmsNorm(
                    Residual(end - run.LogitCount + i), _weights.OutputNorm, _headInput.Column(row), _config.EmbeddingLength, _config.RmsEpsilon);
                _headInput.Seal(row);
            }
        }
    }

    private void ComputeLogits(int threadIndex)
    {
        if (_batch.LogitRowCount == 0)
        {
            return;
        }

        const int Share = 16;
        PackedMatrix head = _weights.Head;
        while (_team.TryClaim(threadIndex, head.GroupCount, Share, out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                head.MultiplyGroup(g, _headInput, _logits.Singles + (g * GroupRows), LogitStride, false);
            }
        }
    }
}
