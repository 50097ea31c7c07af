using Sluice.Inference.Architectures;

namespace Sluice.Inference.Transformer;

/// <summary>
/// Angles of the rotary embedding. Frequencies θ^(-2i/n) are computed in double precision; <c>rope_freqs.weight</c> of Llama 3.1 divides them.
/// YaRN after Peng et al. 2023.
/// </summary>
internal sealed unsafe class RopeTable
{
    private readonly double[] _frequencies;
    private readonly float _magnitude;

    /// <param name="config">The model's rotation.</param>
    /// <param name="divisors">n/2 divisors of the frequencies, or null.</param>
    public RopeTable(RopeConfig config, float[]? divisors)
    {
        int pairs = config.DimensionCount / 2;
        _frequencies = new double[pairs];
        double magnitude = config.AttentionFactor;
        if (config.Scaling == RopeScaling.Yarn)
        {
            double logarithm = Math.Log(config.Factor);
            magnitude *= (1 + (0.1 * logarithm)) / (1 + (0.1 * config.LogMultiplier * logarithm));
        }

        _magnitude = (float)magnitude;
        double low = Math.Max(0, Math.Floor(CorrectionDimension(config, config.BetaFast)));
        double high = Math.Min(config.DimensionCount - 1, Math.Ceiling(CorrectionDimension(config, config.BetaSlow)));
        for (int i = 0; i < pairs; i++)
        {
            double frequency = Math.Pow(config.FrequencyBase, -2.0 * i / config.DimensionCount) / (divisors?[i] ?? 1);
            double interpolated = frequency / config.Factor;
            _frequencies[i] = config.Scaling switch
            {
                RopeScaling.Linear => interpolated,
                RopeScaling.Yarn => Mix(interpolated, frequency, 1 - Math.Clamp((i - low) / Math.Max(0.001, high - low), 0, 1)),
                _ => frequency,
            };
        }
    }

    /// <summary>Pairs that turn: half of the dimension count.</summary>
    public int PairCount => _frequencies.Length;

    /// <summary>Writes the cosines, then the sines, of one position.</summary>
    /// <param name="position">Token position, from 0.</param>
    /// <param name="table">2 · <see cref="PairCount"/> floats.</param>
    public void Fill(int position, float* table)
    {
        for (int i = 0; i < _frequencies.Length; i++)
        {
            (double sin, double cos) = Math.SinCos(position * _frequencies[i]);
            table[i] = (float)cos * _magnitude;
            table[i + _frequencies.Length] = (float)sin * _magnitude;
        }
    }

    /// <summary>Turns one head: value i with value i + n/2, for the leading n values.</summary>
    public void Rotate(float* head, float* table)
    {
        int pairs = _frequencies.Length;
        for (int i = 0; i < pairs; i++)
        {
            float a = head[i];
            float b = head[i + pairs];
            head[i] = (a * table[i]) - (b * table[i + pairs]);
            head[i + pairs] = (a * table[i + pairs]) + (b * table[i]);
        }
    }

    private static double Mix(double interpolated, double extrapolated, double share) =>
        (interpolated * (1 - share)) + (extrapolated * share);

    private static double CorrectionDimension(RopeConfig config, double rotations) =>
        config.DimensionCount * Math.Log(config.OriginalContextLength / (rotations * 2 * Math.PI)) / (2 * Math.Log(config.FrequencyBase));
}
