using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>The feed-forward part that every token takes.</content>
internal sealed unsafe partial class TransformerForward
{
    // Gate rows of an item, then the same up rows, of one column.
    private const int GateStride = 4 * GroupRows;

    private static int GateItems(FeedForwardWeights weights) => (weights.Up.GroupCount + 1) / 2;

    private void FeedForward(FeedForwardWeights weights, BatchInput input, BatchInput output, int threadIndex)
    {
        while (_team.TryClaim(threadIndex, GateItems(weights), 1, out int item, out _))
        {
            Gate(weights, item, input, output, _scratch[threadIndex]);
        }
    }

    // An item is 32 gate rows and the same up rows: their products make exactly one block of quantised activations.
    private static void Gate(FeedForwardWeights weights, int item, BatchInput input, BatchInput output, float* scratch)
    {
        int group = item * 2;
        int groups = Math.Min(2, weights.Up.GroupCount - group);
        for (int g = 0; g < groups; g++)
        {
            weights.Gate?.MultiplyGroup(group + g, input, scratch + (g * GroupRows), GateStride, false);
            weights.Up.MultiplyGroup(group + g, input, scratch + ((2 + g) * GroupRows), GateStride, false);
        }

        for (int t = 0; t < input.ColumnCount; t++)
        {
            float* gate = scratch + (t * GateStride);
            float* target = output.Column(t) + (group * GroupRows);
            Activate(weights, group * GroupRows, gate, gate + (2 * GroupRows), target, groups * GroupRows);
            output.Quantized?.Quantize(t, target, item, 1);
        }
    }

    private static void Activate(FeedForwardWeights weights, int firstRow, float* gate, float* up, float* output, int count)
    {
        if (weights.GateBias != null)
        {
            VectorMath.Add(gate, weights.GateBias + firstRow, count);
        }

        if (weights.UpBias != null)
        {
            VectorMath.Add(up, weights.UpBias + firstRow, count);
        }

        switch (weights.Activation)
        {
            case Activation.Gelu:
                VectorMath.GeGlu(gate, up, output, count);
                break;
            case Activation.GeluUngated:
                VectorMath.GeGlu(up, null, output, count);
                break;
            case Activation.SquaredReluUngated:
                VectorMath.SquaredRelu(up, output, count);
                break;
            case Activation.ClampedSwish:
                VectorMath.ClampedSwish(gate, up, output, count);
                break;
            default:
                VectorMath.SwiGlu(gate, up, output, count);
                break;
        }
    }
}
