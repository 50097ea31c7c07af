using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>From the last layer to what the caller reads.</content>
internal sealed unsafe partial class TransformerForward
{
    private readonly float* _logits;

    /// <summary>Floats from one row of logits to the next.</summary>
    public int LogitStride { get; }

    /// <summary>Logits of a row, valid until the next batch: one float per token of the vocabulary.</summary>
    public Span<float> Logits(int row) => new(_logits + ((long)row * LogitStride), _weights.VocabularySize);

    /// <summary>The last vector of a row, normalised; valid until the next batch.</summary>
    public ReadOnlySpan<float> Hidden(int row) => new(_headInput.Column(row), _plan.EmbeddingLength);

    private void NormalizeLogitRows(BranchEnd? before, int threadIndex)
    {
        while (_team.TryClaim(threadIndex, _batch.Runs.Count, 1, out int r, out _))
        {
            StepRun run = _batch.Runs[r];
            int end = run.FirstColumn + run.Count;
            for (int i = 0; i < run.LogitCount; i++)
            {
                int column = end - run.LogitCount + i;
                int row = run.FirstLogitRow + i;
                if (before != null)
                {
                    Settle(before, column);
                }

                Normalize(Residual(column), _weights.OutputNorm, _headInput.Column(row));
                _headInput.Seal(row);
            }
        }
    }

    private void ComputeLogits(int threadIndex)
    {
        if (_batch.LogitRowCount == 0 || _weights.Head is not { } head)
        {
            return;
        }

        const int Share = 16;
        while (_team.TryClaim(threadIndex, head.GroupCount, Share, out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                head.MultiplyGroup(g, _headInput, _logits + (g * GroupRows), LogitStride, false);
                if (_plan.LogitScale != 1 || _plan.LogitCap != 0)
                {
                    Finish(g);
                }
            }
        }
    }

    private void Finish(int group)
    {
        for (int row = 0; row < _batch.LogitRowCount; row++)
        {
            float* logits = _logits + ((long)row * LogitStride) + (group * GroupRows);
            VectorMath.Scale(logits, GroupRows, _plan.LogitScale);
            if (_plan.LogitCap != 0)
            {
                VectorMath.SoftCap(logits, GroupRows, _plan.LogitCap);
            }
        }
    }
}
