using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>The residual: what it begins with, what branches read of it, and how their results come onto it.</content>
internal sealed unsafe partial class TransformerForward
{
    private float* Residual(int column) => _residual + ((long)column * Padded(_plan.EmbeddingLength));

    private float* Delta(int column) => _delta + ((long)column * Padded(_plan.EmbeddingLength));

    private void Embed(int threadIndex)
    {
        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            StepRun run = _batch.Runs[_runOfColumn[t]];
            int position = run.Start + t - run.FirstColumn;
            float* x = Residual(t);
            _weights.ReadEmbedding(run.TokenAt(position), x);
            if (_plan.EmbeddingScale != 1)
            {
                VectorMath.Scale(x, _plan.EmbeddingLength, _plan.EmbeddingScale);
            }

            if (_weights.TokenType != null)
            {
                VectorMath.Add(x, _weights.TokenType, _plan.EmbeddingLength);
            }

            if (_weights.PositionTable != null)
            {
                VectorMath.Add(x, _weights.PositionTable + ((long)position * _plan.EmbeddingLength), _plan.EmbeddingLength);
            }

            if (!_weights.EmbeddingNorm.IsNone)
            {
                Normalize(x, _weights.EmbeddingNorm, x);
            }

            Turn(t, position);
        }
    }

    // Ends the branch before, and returns the columns that the calling thread multiplies with: its own copy, or the shared ones once all
    // threads have done their part.
    private BatchInput Enter(BranchEnd? before, NormWeights norm, int threadIndex)
    {
        if (_ownsInput && before == null)
        {
            BatchInput own = _ownNormed[threadIndex];
            for (int t = 0; t < _batch.TokenCount; t++)
            {
                Normalize(Residual(t), norm, own.Column(t));
                own.Seal(t);
            }

            return own;
        }

        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            if (before != null)
            {
                Settle(before, t);
            }

            Normalize(Residual(t), norm, _normed.Column(t));
            _normed.Seal(t);
        }

        _team.Barrier();
        return _normed;
    }

    // x = sumNorm(x + scale · norm(result + bias)) · outputScale
    private void Settle(BranchEnd end, int t)
    {
        int length = _plan.EmbeddingLength;
        float* result = Delta(t);
        if (end.Bias != null)
        {
            VectorMath.Add(result, end.Bias, length);
        }

        if (!end.ExpertNorm.IsNone)
        {
            Normalize(result, end.ExpertNorm, result);
            VectorMath.Add(result, Dense(t), length);
        }

        if (!end.Norm.IsNone)
        {
            Normalize(result, end.Norm, result);
        }

        VectorMath.AddScaled(Residual(t), result, end.Scale, length);
        if (!end.SumNorm.IsNone)
        {
            Normalize(Residual(t), end.SumNorm, Residual(t));
        }

        if (end.OutputScale != 1)
        {
            VectorMath.Scale(Residual(t), length, end.OutputScale);
        }
    }

    private void Normalize(float* x, NormWeights norm, float* output)
    {
        int length = _plan.EmbeddingLength;
        if (norm.IsNone)
        {
            new ReadOnlySpan<float>(x, length).CopyTo(new Span<float>(output, length));
        }
        else if (_plan.Norm == NormKind.Layer)
        {
            VectorMath.LayerNorm(x, norm.Gain, norm.Bias, output, length, _plan.NormEpsilon);
        }
        else
        {
            VectorMath.RmsNorm(x, norm.Gain, output, length, _plan.NormEpsilon);
        }
    }
}
