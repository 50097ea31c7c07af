using System.Runtime.Intrinsics;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Scales of a block. They are not just those of its largest value: several are tried, each is fitted to the integers that it gives by least
/// squares, and the one with the least squared error is kept, as it is when it has been rounded to the precision that it will be stored with.
/// </summary>
internal static class BlockFit
{
    /// <summary>How a scale and a minimum are stored.</summary>
    public enum Precision
    {
        /// <summary>In the block itself.</summary>
        Half,

        /// <summary>Not as they are: a super-block rounds them in its own way.</summary>
        Single,
    }

    // Where the largest value of a block comes to stand, in steps beyond the last integer.
    private static readonly float[] s_offsets = [0, -0.25f, 0.25f, -0.5f, 0.5f, -0.75f, 0.75f, -1, 1, -1.4f, -1.8f];

    /// <summary>x = d · q with q from -<paramref name="levels"/> to <paramref name="levels"/> - 1.</summary>
    /// <param name="values">A multiple of 8, finite.</param>
    /// <param name="levels">Integers below zero.</param>
    /// <param name="precision">Of d.</param>
    /// <param name="integers">Receives q, as many as values.</param>
    /// <returns>d; 0 when all values are.</returns>
    public static float Scale(ReadOnlySpan<float> values, int levels, Precision precision, Span<float> integers)
    {
        var largest = 0f;
        foreach (var value in values) largest = Math.Abs(value) > Math.Abs(largest) ? value : largest;
        integers.Clear();
        if (largest == 0) return 0;
        // The plain rule comes first, so that the result is never worse.
        var best = Round(largest / -levels, precision);
        var leastError = ErrorOf(values, best, 0, -levels, levels - 1, integers);
        foreach (var offset in s_offsets)
        {
            // The negative side has one integer more, so the largest value goes there, whatever its sign.
            Divide(values, 0, -(levels + offset) / largest, -levels, levels - 1, integers);
            var (squares, products, _, _) = Sums(values, integers);
            if (squares == 0) continue;
            var scale = Round(products / squares, precision);
            var error = ErrorOf(values, scale, 0, -levels, levels - 1, integers);
            if (!(error < leastError)) continue;
            (best, leastError) = (scale, error);
        }

        ErrorOf(values, best, 0, -levels, levels - 1, integers);
        return best;
    }

    /// <summary>x = d · u + m with u from 0 to <paramref name="levels"/>.</summary>
    /// <param name="values">A multiple of 8, finite.</param>
    /// <param name="levels">The largest u.</param>
    /// <param name="precision">Of d and m. In a super-block m is at most 0.</param>
    /// <param name="integers">Receives u, as many as values.</param>
    public static (float Scale, float Minimum) Line(ReadOnlySpan<float> values, int levels, Precision precision, Span<float> integers)
    {
        var (low, high) = (values[0], values[0]);
        foreach (var value in values) (low, high) = (Math.Min(low, value), Math.Max(high, value));
        if (precision == Precision.Single) (low, high) = (Math.Min(low, 0), Math.Max(high, 0));
        var best = (Scale: Round((high - low) / levels, precision), Minimum: Round(low, precision));
        var leastError = ErrorOf(values, best.Scale, best.Minimum, 0, levels, integers);
        foreach (var offset in s_offsets)
        {
            if (high <= low) break;
            Divide(values, low, (levels + offset) / (high - low), 0, levels, integers);
            var (squares, products, sum, total) = Sums(values, integers);
            var determinant = (values.Length * squares) - (sum * sum);
            if (determinant <= 0) continue;
            var minimum = ((squares * total) - (sum * products)) / determinant;
            var line = precision == Precision.Single && minimum > 0
                ? (Scale: products / squares, Minimum: 0f)
                : (Scale: Round(((values.Length * products) - (sum * total)) / determinant, precision), Minimum: Round(minimum, precision));
            var error = ErrorOf(values, line.Scale, line.Minimum, 0, levels, integers);
            if (!(error < leastError)) continue;
            (best, leastError) = (line, error);
        }

        ErrorOf(values, best.Scale, best.Minimum, 0, levels, integers);
        return best;
    }

    /// <summary>The squared error of the nearest integers, which are left in place.</summary>
    /// <param name="values">A multiple of 8.</param>
    /// <param name="scale">d; with 0 all integers are 0, or the one of them nearest to it.</param>
    /// <param name="minimum">m</param>
    /// <param name="low">The smallest integer.</param>
    /// <param name="high">The largest integer.</param>
    /// <param name="integers">Receives as many as values.</param>
    public static float ErrorOf(ReadOnlySpan<float> values, float scale, float minimum, int low, int high, Span<float> integers)
    {
        Divide(values, minimum, scale == 0 ? 0 : 1 / scale, low, high, integers);
        var errors = Vector256<float>.Zero;
        for (var i = 0; i < values.Length; i += Vector256<float>.Count)
        {
            var difference = Load(values, i) - ((Load(integers, i) * scale) + Vector256.Create(minimum));
            errors += difference * difference;
        }

        return Vector256.Sum(errors);
    }

    /// <summary>Sums of q², x · q, q and x.</summary>
    public static (float Squares, float Products, float Sum, float Total) Sums(ReadOnlySpan<float> values, ReadOnlySpan<float> integers)
    {
        var (squares, products, sum, total) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var i = 0; i < values.Length; i += Vector256<float>.Count)
        {
            var (value, integer) = (Load(values, i), Load(integers, i));
            squares += integer * integer;
            products += value * integer;
            sum += integer;
            total += value;
        }

        return (Vector256.Sum(squares), Vector256.Sum(products), Vector256.Sum(sum), Vector256.Sum(total));
    }

    private static void Divide(ReadOnlySpan<float> values, float minimum, float factor, int low, int high, Span<float> integers)
    {
        for (var i = 0; i < values.Length; i += Vector256<float>.Count)
        {
            var rounded = Vector256.Round((Load(values, i) - Vector256.Create(minimum)) * factor);
            Vector256.Clamp(rounded, Vector256.Create((float)low), Vector256.Create((float)high)).CopyTo(integers[i..]);
        }
    }

    private static float Round(float value, Precision precision) => precision == Precision.Half ? (float)(Half)value : value;

    private static Vector256<float> Load(ReadOnlySpan<float> values, int index) => Vector256.Create(values.Slice(index, Vector256<float>.Count));
}
