using Sluice.Inference.Architectures;

namespace Sluice.Inference.Transformer;

/// <summary>From a router's numbers to a token's experts and their weights. One instance per thread.</summary>
/// <param name="plan">How.</param>
internal sealed class ExpertChoice(ExpertPlan plan)
{
    // Below this the weights of a token are nothing, and their sum is no divisor; llama.cpp's bound, the least normal half.
    private const float WeightSumMin = 6.103515625e-5f;

    private readonly float[] _probabilities = new float[plan.Count];
    private readonly float[] _scores = new float[plan.Count];

    /// <summary>Chooses.</summary>
    /// <param name="logits">The router's numbers, one an expert.</param>
    /// <param name="choiceBias">Added to the probabilities for the choice alone; empty for none.</param>
    /// <param name="chosen">Receives the experts, in the order of their numbers.</param>
    /// <param name="weights">Receives their weights.</param>
    public void Choose(ReadOnlySpan<float> logits, ReadOnlySpan<float> choiceBias, Span<int> chosen, Span<float> weights)
    {
        float[] probabilities = _probabilities;
        switch (plan.Gate)
        {
            case ExpertGate.Sigmoid:
                for (int e = 0; e < probabilities.Length; e++)
                {
                    probabilities[e] = 1 / (1 + MathF.Exp(-logits[e]));
                }

                break;
            case ExpertGate.SoftmaxOfChosen:
                logits.CopyTo(probabilities);
                break;
            default:
                Softmax(logits, probabilities);
                break;
        }

        for (int e = 0; e < probabilities.Length; e++)
        {
            _scores[e] = probabilities[e] + (choiceBias.IsEmpty ? 0 : choiceBias[e]);
        }

        if (plan.GroupCount > 1)
        {
            KeepBestGroups();
        }

        for (int i = 0; i < chosen.Length; i++)
        {
            // Of equal scores the first one.
            int best = 0;
            for (int e = 1; e < _scores.Length; e++)
            {
                best = _scores[e] > _scores[best] ? e : best;
            }

            chosen[i] = best;
            _scores[best] = float.NegativeInfinity;
        }

        chosen.Sort();
        for (int i = 0; i < chosen.Length; i++)
        {
            weights[i] = probabilities[chosen[i]];
        }

        if (plan.Gate == ExpertGate.SoftmaxOfChosen)
        {
            Softmax(weights, weights);
        }

        if (plan.NormalizesWeights)
        {
            float sum = 0;
            foreach (float weight in weights)
            {
                sum += weight;
            }

            Multiply(weights, 1 / MathF.Max(sum, WeightSumMin));
        }

        Multiply(weights, plan.WeightScale);
    }

    // A group's score is the sum of its two best; experts of other groups are out.
    private void KeepBestGroups()
    {
        int size = plan.Count / plan.GroupCount;
        Span<float> groups = stackalloc float[plan.GroupCount];
        for (int g = 0; g < groups.Length; g++)
        {
            float first = float.NegativeInfinity;
            float second = float.NegativeInfinity;
            foreach (float score in _scores.AsSpan(g * size, size))
            {
                second = MathF.Max(second, MathF.Min(first, score));
                first = MathF.Max(first, score);
            }

            groups[g] = first + second;
        }

        for (int dropped = plan.GroupCount - plan.GroupUsedCount; dropped > 0; dropped--)
        {
            int worst = -1;
            for (int g = 0; g < groups.Length; g++)
            {
                worst = !float.IsPositiveInfinity(groups[g]) && (worst < 0 || groups[g] <= groups[worst]) ? g : worst;
            }

            groups[worst] = float.PositiveInfinity;
            _scores.AsSpan(worst * size, size).Fill(float.NegativeInfinity);
        }
    }

    private static void Softmax(ReadOnlySpan<float> logits, Span<float> probabilities)
    {
        float max = float.NegativeInfinity;
        foreach (float logit in logits)
        {
            max = MathF.Max(max, logit);
        }

        float sum = 0;
        for (int e = 0; e < logits.Length; e++)
        {
            probabilities[e] = MathF.Exp(logits[e] - max);
            sum += probabilities[e];
        }

        Multiply(probabilities, 1 / sum);
    }

    private static void Multiply(Span<float> values, float factor)
    {
        for (int i = 0; i < values.Length; i++)
        {
            values[i] *= factor;
        }
    }
}
