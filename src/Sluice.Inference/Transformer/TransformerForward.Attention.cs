using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>Attention: projections, rotation, the cache, and the kernel that attends.</content>
internal sealed unsafe partial class TransformerForward
{
    // Query rows of one attention item: enough to reuse the widened keys, few enough to share a prompt among threads.
    private const int AttentionRowsMax = 32;

    private RopeTable[] _ropes = [];
    private float*[] _angles = [];
    private float* _queries;
    private float* _keys;
    private float* _values;
    private float* _outputGates;
    private int _queryStride;
    private int _keyStride;
    private int _valueStride;
    private AttentionKernel[] _attention = [];
    private NativeBuffer[] _rowScratch = [];
    private int _rowCapacity;
    private AttentionTiles?[] _tiles = [];

    private void CreateAttention()
    {
        _ropes = [.. _plan.Ropes.Select((rope, i) => new RopeTable(rope, _weights.RopeDivisors[i]))];
        _angles = new float*[_ropes.Length];
        for (int i = 0; i < _angles.Length; i++)
        {
            _angles[i] = Floats(_columnCapacity, 2 * _ropes[i].PairCount);
        }

        AttentionPlan[] plans = [.. _plan.Layers.Where(static l => l.Attention != null).Select(static l => l.Attention!)];
        if (plans.Length == 0)
        {
            return;
        }

        _queryStride = Padded(plans.Max(static p => p.QueryLength));
        _keyStride = Padded(plans.Max(static p => p.KeysLength));
        _valueStride = Padded(plans.Max(static p => p.ValuesLength));
        _queries = Floats(_columnCapacity, _queryStride);
        _keys = Floats(_columnCapacity, _keyStride);
        _values = Floats(_columnCapacity, _valueStride);
        if (plans.Any(static p => p.HasOutputGate))
        {
            _outputGates = Floats(_columnCapacity, _queryStride);
        }

        Dictionary<int, AttentionTiles> tiles = plans.Select(static p => p.GroupSize).Distinct().ToDictionary(
            static size => size, static size => new AttentionTiles(size, AttentionRowsMax));
        _tiles = [.. _plan.Layers.Select(l => l.Attention is { } a ? tiles[a.GroupSize] : null)];
        _rowCapacity = tiles.Values.Max(static t => t.TokensMax * t.GroupSize);
        _attention = PerThread(_ => Own(new AttentionKernel(plans.Max(static p => p.KeyLength), plans.Max(static p => p.ValueLength), _rowCapacity)));
        _rowScratch = PerThread(_ => Own(new NativeBuffer((long)_rowCapacity * ((2 * sizeof(void*)) + (2 * sizeof(int)) + sizeof(float)))));
    }

    private void PlanAttention()
    {
        foreach (AttentionTiles? tiles in _tiles)
        {
            tiles?.Begin(_batch);
        }
    }

    private void Turn(int column, int position)
    {
        for (int i = 0; i < _ropes.Length; i++)
        {
            _ropes[i].Fill(position, Angles(i, column));
        }
    }

    private float* Queries(int column) => _queries + ((long)column * _queryStride);

    private float* Keys(int column) => _keys + ((long)column * _keyStride);

    private float* Values(int column) => _values + ((long)column * _valueStride);

    private float* Angles(int rope, int column) => _angles[rope] + ((long)column * Padded(2 * _ropes[rope].PairCount));

    // From the normalised input to the columns that the output matrix reads.
    private void Attend(LayerWeights layer, int index, BatchInput input, int threadIndex)
    {
        AttentionPlan plan = layer.Plan.Attention!;
        AttentionWeights weights = layer.Attention!;
        AttentionTiles tiles = _tiles[index]!;
        BatchInput attended = _mixed[index]!;
        Project(weights, input, threadIndex);
        _team.Barrier();

        // Then the only keys of this step that an attention item reads are those of its own tokens.
        bool rotatesWhereItAttends = tiles.AreRunsShort && plan.HeadNorm != HeadNorm.WholeProjection;
        if (!rotatesWhereItAttends)
        {
            RotateAndCache(plan, weights, index, threadIndex);
            _team.Barrier();
        }

        bool sealsHere = plan.ValueLength * plan.GroupSize % ActivationLayout.BlockLength == 0;
        AttendTiles(plan, weights, index, tiles, rotatesWhereItAttends, sealsHere ? attended.Quantized : null, attended, threadIndex);
        _team.Barrier();
        if (!sealsHere)
        {
            while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
            {
                attended.Seal(t);
            }

            _team.Barrier();
        }
    }

    private void Project(AttentionWeights weights, BatchInput input, int threadIndex)
    {
        int queryGroups = weights.Query.GroupCount;
        int keyGroups = weights.Key?.GroupCount ?? 0;
        int valueGroups = weights.Value?.GroupCount ?? 0;
        int total = queryGroups + keyGroups + valueGroups + (weights.Gate?.GroupCount ?? 0);
        int share = GroupShare(total);
        while (_team.TryClaim(threadIndex, total, share, out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                if (g < queryGroups)
                {
                    weights.Query.MultiplyGroup(g, input, _queries + (g * GroupRows), _queryStride, false);
                }
                else if (g < queryGroups + keyGroups)
                {
                    int k = g - queryGroups;
                    weights.Key!.MultiplyGroup(k, input, _keys + (k * GroupRows), _keyStride, false);
                }
                else if (g < queryGroups + keyGroups + valueGroups)
                {
                    int v = g - queryGroups - keyGroups;
                    weights.Value!.MultiplyGroup(v, input, _values + (v * GroupRows), _valueStride, false);
                }
                else
                {
                    int o = g - queryGroups - keyGroups - valueGroups;
                    weights.Gate!.MultiplyGroup(o, input, _outputGates + (o * GroupRows), _queryStride, false);
                }
            }
        }
    }

    private void RotateAndCache(AttentionPlan plan, AttentionWeights weights, int layer, int threadIndex)
    {
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            if (plan.HeadNorm == HeadNorm.WholeProjection)
            {
                VectorMath.RmsNorm(Queries(t), weights.QueryNorm, Queries(t), plan.QueryLength, _plan.NormEpsilon);
                VectorMath.RmsNorm(Keys(t), weights.KeyNorm, Keys(t), plan.KeysLength, _plan.NormEpsilon);
            }

            for (int head = 0; head < plan.HeadCountKv; head++)
            {
                RotateAndCacheHead(plan, weights, layer, head, t);
            }
        }
    }

    // One key/value head of a token and the query heads that read it.
    private void RotateAndCacheHead(AttentionPlan plan, AttentionWeights weights, int layer, int head, int t)
    {
        StepRun run = _batch.Runs[_runOfColumn[t]];
        int position = run.Start + t - run.FirstColumn;
        float* key = Keys(t) + (head * plan.KeyLength);
        float* value = Values(t) + (head * plan.ValueLength);
        Prepare(plan, Queries(t), weights.QueryBias, weights.QueryNorm, head * plan.GroupSize, plan.GroupSize, t);
        if (plan.Temperature is { } temperature)
        {
            float* query = Queries(t) + (head * plan.GroupSize * plan.KeyLength);
            VectorMath.Scale(query, plan.GroupSize * plan.KeyLength, temperature.At(position));
        }

        if (plan.SharesCacheOf != null)
        {
            return;
        }

        if (weights.Value == null)
        {
            new ReadOnlySpan<float>(key, plan.KeyLength).CopyTo(new Span<float>(value, plan.ValueLength));
        }

        Prepare(plan, Keys(t), weights.KeyBias, weights.KeyNorm, head, 1, t);
        if (weights.ValueBias != null)
        {
            VectorMath.Add(value, weights.ValueBias + (head * plan.ValueLength), plan.ValueLength);
        }

        if (plan.NormalizesValues)
        {
            VectorMath.UnitRms(value, plan.ValueLength, _plan.NormEpsilon);
        }

        int block = run.Sequence.Blocks[position / TransformerLimits.KvBlockTokens];
        int within = position % TransformerLimits.KvBlockTokens;
        KvRows.StoreKey(_cache.Type, _cache.Keys(block, layer, head), within, key, plan.KeyLength);
        KvRows.StoreValue(_cache.Type, _cache.Values(block, layer, head), within, value, plan.ValueLength);
    }

    private void Prepare(AttentionPlan plan, float* heads, float* bias, float* norm, int firstHead, int headCount, int t)
    {
        int length = plan.KeyLength;
        int offset = firstHead * length;
        if (bias != null)
        {
            VectorMath.Add(heads + offset, bias + offset, headCount * length);
        }

        for (int head = 0; head < headCount; head++)
        {
            float* x = heads + offset + (head * length);
            if (norm != null && plan.HeadNorm == HeadNorm.IfPresent)
            {
                VectorMath.RmsNorm(x, norm, x, length, _plan.NormEpsilon);
            }

            if (plan.Rope >= 0)
            {
                _ropes[plan.Rope].Rotate(x, Angles(plan.Rope, t));
            }

            if (plan.HeadNorm == HeadNorm.AfterRope)
            {
                VectorMath.RmsNorm(x, norm, x, length, _plan.NormEpsilon);
            }
            else if (plan.HeadNorm == HeadNorm.UnitAfterRope)
            {
                VectorMath.UnitRms(x, length, _plan.NormEpsilon);
            }
        }
    }

    // Rows of a thread's own, none of them filled.
    private AttentionRows RowsOf(int threadIndex)
    {
        AttentionRows rows = default;
        rows.Queries = (float**)_rowScratch[threadIndex].Bytes;
        rows.Outputs = rows.Queries + _rowCapacity;
        rows.Firsts = (int*)(rows.Outputs + _rowCapacity);
        rows.Ends = rows.Firsts + _rowCapacity;
        rows.Sinks = (float*)(rows.Ends + _rowCapacity);
        return rows;
    }

    private void AttendTiles(
        AttentionPlan plan, AttentionWeights weights, int layer, AttentionTiles tiles, bool rotates, QuantizedActivations? quantized, BatchInput attended,
        int threadIndex)
    {
        int groupSize = plan.GroupSize;
        AttentionRows rows = RowsOf(threadIndex);
        float* sinks = rows.Sinks;
        rows.Sinks = weights.Sinks == null ? null : sinks;
        int total = tiles.Items.Count * plan.HeadCountKv;
        while (_team.TryClaim(threadIndex, total, 1, out int item, out _))
        {
            // The tiles with the longest history are the last ones of a prompt; they come first in a thread's part, so that
            // no thread is left with a long one at the end.
            (int runIndex, int firstToken, int count) = tiles.Items[tiles.Items.Count - 1 - (item / plan.HeadCountKv)];
            int head = item % plan.HeadCountKv;
            StepRun run = _batch.Runs[runIndex];
            if (rotates)
            {
                for (int i = 0; i < count; i++)
                {
                    RotateAndCacheHead(plan, weights, layer, head, run.FirstColumn + i);
                }
            }

            rows.Count = 0;
            for (int i = 0; i < count; i++)
            {
                int column = run.FirstColumn + firstToken + i;
                (int first, int end) = plan.Visible(run.Start + firstToken + i, run.Start + run.Count);
                for (int g = 0; g < groupSize; g++)
                {
                    int query = (head * groupSize) + g;
                    rows.Queries[rows.Count] = Queries(column) + (query * plan.KeyLength);
                    rows.Outputs[rows.Count] = attended.Column(column) + (query * plan.ValueLength);
                    rows.Firsts[rows.Count] = first;
                    rows.Ends[rows.Count] = end;
                    if (weights.Sinks != null)
                    {
                        sinks[rows.Count] = weights.Sinks[query];
                    }

                    rows.Count++;
                }
            }

            var shape = new AttentionHead(plan.SharesCacheOf ?? layer, head, plan.KeyLength, plan.ValueLength, plan.Scale, plan.ScoreCap);
            _attention[threadIndex].Run(_cache, run.Sequence, shape, rows);
            if (plan.HasOutputGate)
            {
                for (int i = 0; i < count; i++)
                {
                    int offset = head * groupSize * plan.ValueLength;
                    float* gate = _outputGates + ((long)(run.FirstColumn + firstToken + i) * _queryStride) + offset;
                    VectorMath.MultiplyBySigmoid(rows.Outputs[i * groupSize], gate, groupSize * plan.ValueLength);
                }
            }

            if (quantized != null)
            {
                int blocks = plan.ValueLength * groupSize / ActivationLayout.BlockLength;
                for (int i = 0; i < count; i++)
                {
                    quantized.Quantize(run.FirstColumn + firstToken + i, rows.Outputs[i * groupSize], head * blocks, blocks);
                }
            }
        }
    }
}
