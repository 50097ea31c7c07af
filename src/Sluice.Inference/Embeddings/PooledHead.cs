using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;
using Sluice.Inference.Transformer;

namespace Sluice.Inference.Embeddings;

/// <summary>From the rows of a text to one vector: pooling, and the matrices behind it. One thread at a time.</summary>
internal sealed unsafe class PooledHead : IDisposable
{
    private readonly ModelPlan _plan;
    private readonly PooledLayerWeights[] _layers;
    private readonly BatchInput[] _inputs;
    private readonly NativeBuffer _output;
    private readonly double[] _sums;

    public PooledHead(ModelPlan plan, TransformerWeights weights)
    {
        _plan = plan;
        _layers = weights.PooledLayers;
        _inputs = [.. _layers.Select(static l => new BatchInput(l.Matrix.Length, 1, l.Matrix.ReadsQuantized))];
        _output = new NativeBuffer(_layers.Select(static l => (long)l.Matrix.GroupCount * PackedMatrix.GroupRows * sizeof(float)).DefaultIfEmpty().Max());
        _sums = new double[plan.EmbeddingLength];
        Outputs = _layers.Length == 0 ? plan.EmbeddingLength : _layers[^1].Matrix.RowCount;
        foreach (BatchInput input in _inputs)
        {
            input.Begin(1);
        }
    }

    /// <summary>Values of the result.</summary>
    public int Outputs { get; }

    /// <summary>Whether only the last row of a text counts.</summary>
    public bool ReadsLastRow => _plan.Pooling is Pooling.Last || (_plan.Pooling == Pooling.Rank && _plan.IsCausal);

    /// <summary>Takes the rows of a step into account.</summary>
    /// <param name="forward">Has computed the step.</param>
    /// <param name="run">The text's tokens; a text of several steps comes in their order.</param>
    public void Add(TransformerForward forward, StepRun run)
    {
        if (run.Start == 0)
        {
            Array.Clear(_sums);
        }

        bool isMean = _plan.Pooling is Pooling.Mean or Pooling.None;
        int first = ReadsLastRow ? run.LogitCount - 1 : 0;
        int end = isMean || ReadsLastRow ? run.LogitCount : run.Start == 0 ? 1 : 0;
        for (int i = first; i < end; i++)
        {
            ReadOnlySpan<float> row = forward.Hidden(run.FirstLogitRow + i);
            for (int d = 0; d < row.Length; d++)
            {
                _sums[d] = isMean ? _sums[d] + row[d] : row[d];
            }
        }
    }

    /// <summary>The vector of the text whose rows were added last.</summary>
    /// <param name="tokenCount">Its tokens.</param>
    public float[] Take(int tokenCount)
    {
        double share = _plan.Pooling is Pooling.Mean or Pooling.None ? 1.0 / tokenCount : 1;
        float[] vector = [.. _sums.Select(sum => (float)(sum * share))];
        for (int i = 0; i < _layers.Length; i++)
        {
            vector = Multiply(_layers[i], _inputs[i], vector);
        }

        return _plan is { Pooling: Pooling.Rank, SharesLabels: true } ? Share(vector) : vector;
    }

    public void Dispose()
    {
        _output.Dispose();
        foreach (BatchInput input in _inputs)
        {
            input.Dispose();
        }
    }

    private float[] Multiply(PooledLayerWeights layer, BatchInput input, float[] vector)
    {
        vector.CopyTo(new Span<float>(input.Column(0), vector.Length));
        input.Seal(0);
        for (int g = 0; g < layer.Matrix.GroupCount; g++)
        {
            layer.Matrix.MultiplyGroup(g, input, _output.Singles + (g * PackedMatrix.GroupRows), PackedMatrix.GroupRows, false);
        }

        float[] result = new ReadOnlySpan<float>(_output.Singles, layer.Matrix.RowCount).ToArray();
        for (int i = 0; i < result.Length; i++)
        {
            result[i] += layer.Bias == null ? 0 : layer.Bias[i];
            result[i] = layer.HasTanh ? MathF.Tanh(result[i]) : result[i];
        }

        return result;
    }

    private static float[] Share(float[] labels)
    {
        double max = labels.Max();
        double sum = labels.Sum(label => Math.Exp(label - max));
        return [.. labels.Select(label => (float)(Math.Exp(label - max) / sum))];
    }
}
