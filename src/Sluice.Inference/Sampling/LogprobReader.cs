using System.Runtime.Intrinsics;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Sampling;

/// <summary>Natural log probabilities of the model's own distribution, before any sampling parameter.</summary>
internal static class LogprobReader
{
    /// <summary>log Σ e^logit.</summary>
    public static double LogSumExp(ReadOnlySpan<float> logits)
    {
        float max = logits[Sampler.ArgMax(logits)];
        double total = 0;
        int i = 0;
        for (; i + VectorMath.Lanes <= logits.Length; i += VectorMath.Lanes)
        {
            Vector512<float> x = Vector512.Create(logits.Slice(i, VectorMath.Lanes)) - Vector512.Create(max);
            total += Vector512.Sum(VectorMath.Exp(x));
        }

        for (; i < logits.Length; i++)
        {
            total += Math.Exp(logits[i] - max);
        }

        return max + Math.Log(total);
    }

    /// <summary>The most likely tokens, best first, the lowest id first among equals.</summary>
    public static int[] Top(ReadOnlySpan<float> logits, int count)
    {
        var best = new int[Math.Min(count, logits.Length)];
        int filled = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            if (filled == best.Length && (filled == 0 || !(logits[i] > logits[best[filled - 1]])))
            {
                continue;
            }

            int at = filled < best.Length ? filled++ : filled - 1;
            while (at > 0 && logits[i] > logits[best[at - 1]])
            {
                best[at] = best[at - 1];
                at--;
            }

            best[at] = i;
        }

        return best;
    }
}
