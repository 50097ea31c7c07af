using System.Runtime.Intrinsics;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Sampling;

/// <summary>
/// Chooses tokens for one sequence, in vLLM's order: what is not allowed goes, then bias, penalties, temperature, min-p, top-k, top-p, draw. Ties go to the lowest id.
/// Not a number counts as minus infinity, so that a broken model still ends in a token.
/// </summary>
internal sealed class Sampler
{
    // Half-width, in nats, of the first set of candidates that is sorted; doubled until it holds what top-k and top-p keep.
    private const float FirstWindow = 10;

    // vLLM's bound: below it the distribution is a single token to single precision, and its inverse overflows.
    private const float GreedyTemperatureMax = 1e-5f;

    private readonly SamplingParameters _parameters;
    private readonly uint _stream;
    private readonly HashSet<int>? _promptTokens;
    private readonly Dictionary<int, int>? _outputCounts;
    private ulong[] _candidates = [];

    /// <param name="parameters">The request's parameters.</param>
    /// <param name="choiceIndex">Selects the random stream.</param>
    /// <param name="promptTokens">Tokens that the repetition penalty counts from the start.</param>
    public Sampler(SamplingParameters parameters, int choiceIndex, IReadOnlyList<int> promptTokens)
    {
        _parameters = parameters;
        _stream = (uint)choiceIndex;
        bool repetition = parameters.RepetitionPenalty != 1;
        if (repetition || parameters.PresencePenalty != 0 || parameters.FrequencyPenalty != 0)
        {
            _outputCounts = [];
            _promptTokens = repetition ? [.. promptTokens] : null;
        }
    }

    /// <summary>Chooses the token at a position.</summary>
    /// <param name="logits">One per token; overwritten.</param>
    /// <param name="position">Index among the generated tokens, from 0.</param>
    /// <param name="allowed">The tokens to choose among, as bits by id, at least one; empty allows all.</param>
    public int Sample(Span<float> logits, int position, ReadOnlySpan<ulong> allowed = default)
    {
        TokenSet.Restrict(logits, allowed);
        Bias(logits);
        Penalize(logits);
        int best = ArgMax(logits);
        if (!allowed.IsEmpty && !(logits[best] > float.NegativeInfinity))
        {
            best = TokenSet.First(allowed);
        }

        int token = _parameters.Temperature < GreedyTemperatureMax || !float.IsFinite(logits[best])
            ? best
            : Draw(logits, logits[best], position, allowed);
        Observe(token);
        return token;
    }

    /// <summary>Counts a token that was appended without being sampled.</summary>
    public void Observe(int token)
    {
        if (_outputCounts != null)
        {
            _outputCounts[token] = _outputCounts.GetValueOrDefault(token) + 1;
        }
    }

    /// <summary>Index of the largest logit, the lowest of equals.</summary>
    internal static int ArgMax(ReadOnlySpan<float> logits)
    {
        Vector512<float> best = Vector512.Create(float.NegativeInfinity);
        int i = 0;
        for (; i + VectorMath.Lanes <= logits.Length; i += VectorMath.Lanes)
        {
            Vector512<float> v = Vector512.Create(logits.Slice(i, VectorMath.Lanes));
            best = Vector512.ConditionalSelect(Vector512.GreaterThan(v, best), v, best);
        }

        float max = float.NegativeInfinity;
        for (int lane = 0; lane < VectorMath.Lanes; lane++)
        {
            max = best[lane] > max ? best[lane] : max;
        }

        for (; i < logits.Length; i++)
        {
            max = logits[i] > max ? logits[i] : max;
        }

        return Math.Max(0, logits.IndexOf(max));
    }

    private void Bias(Span<float> logits)
    {
        if (_parameters.LogitBias is not { } biases)
        {
            return;
        }

        foreach ((int token, float bias) in biases)
        {
            if ((uint)token < (uint)logits.Length)
            {
                logits[token] += bias;
            }
        }
    }

    private void Penalize(Span<float> logits)
    {
        if (_outputCounts == null)
        {
            return;
        }

        if (_promptTokens != null)
        {
            foreach (int token in _promptTokens)
            {
                Repeat(ref logits[token]);
            }
        }

        foreach ((int token, int count) in _outputCounts)
        {
            ref float logit = ref logits[token];
            if (_promptTokens?.Contains(token) == false)
            {
                Repeat(ref logit);
            }

            logit -= (count * _parameters.FrequencyPenalty) + _parameters.PresencePenalty;
        }
    }

    private void Repeat(ref float logit) =>
        logit = logit > 0 ? logit / _parameters.RepetitionPenalty : logit * _parameters.RepetitionPenalty;

    private int Draw(Span<float> logits, float max, int position, ReadOnlySpan<ulong> allowed)
    {
        double random = Philox.NextDouble(_parameters.Seed, _stream, (ulong)position);
        float inverse = 1f / _parameters.Temperature;
        bool truncated = _parameters.TopK > 0 || _parameters.TopP < 1;
        float floor = _parameters.MinP > 0 ? MathF.Log(_parameters.MinP) : float.NegativeInfinity;
        return truncated
            ? DrawTruncated(logits, max, inverse, floor, random, allowed.IsEmpty ? logits.Length : TokenSet.Count(allowed))
            : DrawAll(logits, max, inverse, floor, random);
    }

    // Turns the logits into weights in place, then walks to the drawn share of their sum.
    private static int DrawAll(Span<float> logits, float max, float inverse, float floor, double random)
    {
        double target = random * Weigh(logits, max, inverse, floor);
        int last = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            if (logits[i] > 0)
            {
                last = i;
                target -= logits[i];
                if (target < 0)
                {
                    return i;
                }
            }
        }

        return last;
    }

    private int DrawTruncated(Span<float> logits, float max, float inverse, float floor, double random, int candidateCount)
    {
        int limit = _parameters.TopK > 0 ? Math.Min(_parameters.TopK, candidateCount) : logits.Length;
        double total = _parameters.TopK > 0 ? 0 : Total(logits, max, inverse, floor);
        for (float window = FirstWindow; ; window *= 2)
        {
            float least = Math.Max(floor, -window);
            bool complete = least <= floor || window > 1e6f;
            int count = Collect(logits, max, inverse, complete ? floor : least);
            if (count < limit && !complete && _parameters.TopK > 0)
            {
                continue;
            }

            Span<ulong> sorted = _candidates.AsSpan(0, count);
            sorted.Sort();
            int kept = Math.Min(count, limit);
            double mass = total;
            if (_parameters.TopK > 0)
            {
                mass = 0;
                foreach (ulong candidate in sorted[..kept])
                {
                    mass += Weight(logits, candidate, max, inverse);
                }
            }

            double reached = 0;
            int size = 0;
            while (size < kept && (size == 0 || reached < _parameters.TopP * mass))
            {
                reached += Weight(logits, sorted[size++], max, inverse);
            }

            if (reached < _parameters.TopP * mass && !complete && _parameters.TopK == 0)
            {
                continue;
            }

            double target = random * reached;
            for (int i = 0; i < size; i++)
            {
                target -= Weight(logits, sorted[i], max, inverse);
                if (target < 0)
                {
                    return Token(sorted[i]);
                }
            }

            return Token(sorted[size - 1]);
        }
    }

    // Candidates sort by descending logit, then ascending id: the logit's bits, made monotonic and inverted, above the id.
    private int Collect(ReadOnlySpan<float> logits, float max, float inverse, float least)
    {
        if (_candidates.Length < logits.Length)
        {
            _candidates = new ulong[logits.Length];
        }

        int count = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            float logit = logits[i];
            if ((logit - max) * inverse >= least && !float.IsNegativeInfinity(logit))
            {
                int bits = BitConverter.SingleToInt32Bits(logit);
                uint ascending = (uint)(bits < 0 ? ~bits : bits | int.MinValue);
                _candidates[count++] = ((ulong)~ascending << 32) | (uint)i;
            }
        }

        return count;
    }

    private static int Token(ulong candidate) => (int)(uint)candidate;

    private static double Weight(ReadOnlySpan<float> logits, ulong candidate, float max, float inverse) =>
        Math.Exp((logits[Token(candidate)] - max) * inverse);

    private static double Weigh(Span<float> logits, float max, float inverse, float floor)
    {
        double total = 0;
        int i = 0;
        Vector512<float> least = Vector512.Create(Math.Max(floor, -87f));
        for (; i + VectorMath.Lanes <= logits.Length; i += VectorMath.Lanes)
        {
            Span<float> lanes = logits.Slice(i, VectorMath.Lanes);
            Vector512<float> x = (Vector512.Create((ReadOnlySpan<float>)lanes) - Vector512.Create(max)) * inverse;
            Vector512<float> weight = Vector512.ConditionalSelect(
                Vector512.GreaterThanOrEqual(x, least), VectorMath.Exp(x), Vector512<float>.Zero);
            weight.CopyTo(lanes);
            total += Vector512.Sum(weight);
        }

        for (; i < logits.Length; i++)
        {
            float x = (logits[i] - max) * inverse;
            logits[i] = x >= Math.Max(floor, -87f) ? MathF.Exp(x) : 0;
            total += logits[i];
        }

        return total;
    }

    private static double Total(ReadOnlySpan<float> logits, float max, float inverse, float floor)
    {
        double total = 0;
        foreach (float logit in logits)
        {
            float x = (logit - max) * inverse;
            total += x >= floor ? Math.Exp(x) : 0;
        }

        return total;
    }
}
