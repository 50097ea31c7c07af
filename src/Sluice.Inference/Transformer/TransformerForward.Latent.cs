using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>
/// Attention to one latent vector a token: queries, in two steps where they have a rank, and the latent | rotate and cache | each head's queries
/// go through its keys' matrix | attend | each head's results go through its values' matrix.
/// </content>
internal sealed unsafe partial class TransformerForward
{
    private BatchInput? _queryInput;
    private float* _queryRank;
    private int _queryRankStride;
    private float* _headQueries;
    private int _headQueryStride;
    private BatchInput[] _fixedQueries = [];
    private BatchInput[] _latentResults = [];

    private void CreateLatent()
    {
        LayerWeights[] layers = [.. _weights.Layers.Where(static l => l.Attention?.Latent != null)];
        if (layers.Length == 0)
        {
            return;
        }

        AttentionPlan plan = layers[0].Plan.Attention!;
        LatentPlan latent = plan.Latent!;
        if (latent.QueryRank > 0)
        {
            _queryRankStride = Padded(latent.QueryRank);
            _queryRank = Floats(_columnCapacity, _queryRankStride);
            _queryInput = new BatchInput(latent.QueryRank, _columnCapacity, layers.Any(static l => l.Attention!.Query.ReadsQuantized));
            _inputs.Add(_queryInput);
        }

        _headQueryStride = Padded(plan.HeadCount * (latent.FixedLength + latent.TurningLength));
        _headQueries = Floats(_columnCapacity, _headQueryStride);
        bool keysRead = layers.Any(static l => l.Attention!.Latent!.Keys[0].ReadsQuantized);
        bool valuesRead = layers.Any(static l => l.Attention!.Latent!.Values[0].ReadsQuantized);
        _fixedQueries = [.. Enumerable.Range(0, plan.HeadCount).Select(_ => Own(new BatchInput(latent.FixedLength, _columnCapacity, keysRead)))];
        _latentResults = [.. Enumerable.Range(0, plan.HeadCount).Select(_ => Own(new BatchInput(latent.Length, _columnCapacity, valuesRead)))];
        _inputs.AddRange(_fixedQueries);
        _inputs.AddRange(_latentResults);
    }

    // From the normalised input to the columns that the output matrix reads.
    private void AttendLatent(LayerWeights layer, int index, BatchInput input, int threadIndex)
    {
        AttentionPlan plan = layer.Plan.Attention!;
        AttentionWeights weights = layer.Attention!;
        LatentWeights latent = weights.Latent!;
        if (latent.QueryInput == null)
        {
            MultiplyTwo(weights.Query, input, _headQueries, _headQueryStride, weights.Key!, input, threadIndex);
        }
        else
        {
            MultiplyTwo(latent.QueryInput, input, _queryRank, _queryRankStride, weights.Key!, input, threadIndex);
            _team.Barrier();
            while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
            {
                VectorMath.RmsNorm(
                    _queryRank + ((long)t * _queryRankStride), latent.QueryNorm, _queryInput!.Column(t), plan.Latent!.QueryRank, _plan.NormEpsilon);
                _queryInput.Seal(t);
            }

            _team.Barrier();
            MultiplyTwo(weights.Query, _queryInput!, _headQueries, _headQueryStride, null, input, threadIndex);
        }

        _team.Barrier();
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            RotateLatent(plan, latent, index, t);
        }

        _team.Barrier();
        MultiplyHeads(latent.Keys, _fixedQueries, _queries, plan.KeyLength, _queryStride, threadIndex);
        _team.Barrier();
        AttendLatentTiles(plan, index, threadIndex);
        _team.Barrier();
        BatchInput output = _mixed[index]!;
        MultiplyHeads(latent.Values, _latentResults, output.Column(0), plan.Latent!.HeadLength, output.Stride, threadIndex);
        _team.Barrier();
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            output.Seal(t);
        }

        _team.Barrier();
    }

    private void MultiplyTwo(
        PackedMatrix first, BatchInput firstInput, float* output, int stride, PackedMatrix? key, BatchInput keyInput, int threadIndex)
    {
        int groups = first.GroupCount;
        int total = groups + (key?.GroupCount ?? 0);
        while (_team.TryClaim(threadIndex, total, GroupShare(total), out int from, out int end))
        {
            for (int g = from; g < end; g++)
            {
                if (g < groups)
                {
                    first.MultiplyGroup(g, firstInput, output + (g * GroupRows), stride, false);
                }
                else
                {
                    key!.MultiplyGroup(g - groups, keyInput, _keys + ((g - groups) * GroupRows), _keyStride, false);
                }
            }
        }
    }

    // The key is the latent vector and what turns; the value is the latent vector.
    private void RotateLatent(AttentionPlan plan, LatentWeights weights, int layer, int t)
    {
        LatentPlan latent = plan.Latent!;
        StepRun run = _batch.Runs[_runOfColumn[t]];
        int position = run.Start + t - run.FirstColumn;
        float* key = Keys(t);
        VectorMath.RmsNorm(key, weights.Norm, key, latent.Length, _plan.NormEpsilon);
        _ropes[plan.Rope].Rotate(key + latent.Length, Angles(plan.Rope, t));
        int block = run.Sequence.Blocks[position / TransformerLimits.KvBlockTokens];
        int within = position % TransformerLimits.KvBlockTokens;
        KvRows.StoreKey(_cache.Type, _cache.Keys(block, layer, 0), within, key, plan.KeyLength);
        KvRows.StoreValue(_cache.Type, _cache.Values(block, layer, 0), within, key, plan.ValueLength);
        int headLength = latent.FixedLength + latent.TurningLength;
        for (int h = 0; h < plan.HeadCount; h++)
        {
            float* query = _headQueries + ((long)t * _headQueryStride) + (h * headLength);
            BatchInput fixedPart = _fixedQueries[h];
            new ReadOnlySpan<float>(query, latent.FixedLength).CopyTo(new Span<float>(fixedPart.Column(t), latent.FixedLength));
            fixedPart.Seal(t);
            float* turning = Queries(t) + (h * plan.KeyLength) + latent.Length;
            new ReadOnlySpan<float>(query + latent.FixedLength, latent.TurningLength).CopyTo(new Span<float>(turning, latent.TurningLength));
            _ropes[plan.Rope].Rotate(turning, Angles(plan.Rope, t));
        }
    }

    private void MultiplyHeads(PackedMatrix[] matrices, BatchInput[] inputs, float* output, int headLength, int stride, int threadIndex)
    {
        int groups = matrices[0].GroupCount;
        while (_team.TryClaim(threadIndex, matrices.Length * groups, 1, out int item, out _))
        {
            int head = item / groups;
            int group = item % groups;
            matrices[head].MultiplyGroup(group, inputs[head], output + (head * headLength) + (group * GroupRows), stride, false);
        }
    }

    private void AttendLatentTiles(AttentionPlan plan, int layer, int threadIndex)
    {
        AttentionTiles tiles = _tiles[layer]!;
        AttentionRows rows = RowsOf(threadIndex);
        rows.Sinks = null;
        var shape = new AttentionHead(layer, 0, plan.KeyLength, plan.ValueLength, plan.Scale, plan.ScoreCap);

        // One key/value head serves all queries: its heads are shared out as well, or one thread would attend alone.
        int parts = (plan.HeadCount + AttentionRowsMax - 1) / AttentionRowsMax;
        int partHeads = (plan.HeadCount + parts - 1) / parts;
        while (_team.TryClaim(threadIndex, tiles.Items.Count * parts, 1, out int item, out _))
        {
            (int runIndex, int firstToken, int count) = tiles.Items[tiles.Items.Count - 1 - (item / parts)];
            StepRun run = _batch.Runs[runIndex];
            int firstHead = item % parts * partHeads;
            int endHead = Math.Min(firstHead + partHeads, plan.HeadCount);
            rows.Count = 0;
            for (int i = 0; i < count; i++)
            {
                int column = run.FirstColumn + firstToken + i;
                (int first, int end) = plan.Visible(run.Start + firstToken + i, run.Start + run.Count);
                for (int h = firstHead; h < endHead; h++)
                {
                    rows.Queries[rows.Count] = Queries(column) + (h * plan.KeyLength);
                    rows.Outputs[rows.Count] = _latentResults[h].Column(column);
                    rows.Firsts[rows.Count] = first;
                    rows.Ends[rows.Count] = end;
                    rows.Count++;
                }
            }

            _attention[threadIndex].Run(_cache, run.Sequence, shape, rows);
            for (int i = 0; i < count; i++)
            {
                for (int h = firstHead; h < endHead; h++)
                {
                    _latentResults[h].Seal(run.FirstColumn + firstToken + i);
                }
            }
        }
    }
}
