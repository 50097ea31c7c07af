using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>What layers add of a token's own: made once at the beginning, gated and projected in each layer.</content>
internal sealed unsafe partial class TransformerForward
{
    private float* _perLayer;
    private float* _perLayerRows;
    private int _perLayerStride;
    private BatchInput? _perLayerGated;

    private void CreatePerLayer()
    {
        if (_weights.PerLayer is not { } table)
        {
            return;
        }

        _perLayerStride = table.Projection.GroupCount * GroupRows;
        _perLayer = Floats(_columnCapacity, _perLayerStride);
        _perLayerRows = Floats(_team.ThreadCount, _perLayerStride);
        _perLayerGated = new BatchInput(
            _plan.PerLayerLength, _columnCapacity, _weights.Layers.Any(static l => l.PerLayer?.Projection.ReadsQuantized == true));
        _inputs.Add(_perLayerGated);
    }

    private float* PerLayer(int column, int layer) => _perLayer + ((long)column * _perLayerStride) + (layer * _plan.PerLayerLength);

    // own = (norm(projection · x / √d) + √p · row) / √2, where the norm is of each layer's part.
    private void ReadPerLayer(PerLayerTable table, int threadIndex)
    {
        BatchInput input = Enter(null, default, threadIndex);
        int groups = table.Projection.GroupCount;
        while (_team.TryClaim(threadIndex, groups, GroupShare(groups), out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                table.Projection.MultiplyGroup(g, input, _perLayer + (g * GroupRows), _perLayerStride, false);
            }
        }

        _team.Barrier();
        int length = _plan.PerLayerLength;
        float* row = _perLayerRows + ((long)threadIndex * _perLayerStride);
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            StepRun run = _batch.Runs[_runOfColumn[t]];
            table.Read(run.TokenAt(run.Start + t - run.FirstColumn), row);
            VectorMath.Scale(PerLayer(t, 0), _perLayerStride, 1 / MathF.Sqrt(_plan.EmbeddingLength));
            for (int layer = 0; layer < _plan.Layers.Count; layer++)
            {
                float* own = PerLayer(t, layer);
                VectorMath.RmsNorm(own, table.Norm, own, length, _plan.NormEpsilon);
                VectorMath.AddScaled(own, row + (layer * length), MathF.Sqrt(length), length);
                VectorMath.Scale(own, length, 1 / MathF.Sqrt(2));
            }
        }

        _team.Barrier();
    }

    // As the feed-forward part: an item is 32 rows, one block of quantised activations.
    private void GatePerLayer(PerLayerWeights weights, int layer, BatchInput input, int threadIndex)
    {
        float* scratch = _scratch[threadIndex];
        int groupCount = weights.Gate.GroupCount;
        while (_team.TryClaim(threadIndex, (groupCount + 1) / 2, 1, out int item, out _))
        {
            int group = item * 2;
            int groups = Math.Min(2, groupCount - group);
            for (int g = 0; g < groups; g++)
            {
                weights.Gate.MultiplyGroup(group + g, input, scratch + (g * GroupRows), GateStride, false);
            }

            for (int t = 0; t < _batch.TokenCount; t++)
            {
                float* target = _perLayerGated!.Column(t) + (group * GroupRows);
                VectorMath.GeGlu(scratch + (t * GateStride), PerLayer(t, layer) + (group * GroupRows), target, groups * GroupRows);
                _perLayerGated.Quantized?.Quantize(t, target, item, 1);
            }
        }
    }
}
