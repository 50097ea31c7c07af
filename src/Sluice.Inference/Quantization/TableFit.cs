using System.Runtime.Intrinsics;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Scales of blocks whose values come from a table: as in <see cref="BlockFit"/> several are tried, and the one with the least squared error is
/// kept.
/// </summary>
internal static class TableFit
{
    private const int ExponentMin = 2;

    // How far the largest value of a block may miss the end of the table.
    private static readonly float[] s_stretches = [1, 0.95f, 1.05f, 0.9f, 1.1f, 0.85f, 1.15f, 0.8f, 1.2f, 0.75f, 1.25f];
    private static readonly float[] s_nonLinear = Sorted(BlockShape.NonLinear);
    private static readonly float[] s_miniFloat = Sorted(BlockShape.MiniFloat);

    /// <summary>x = d · v with v one of <see cref="BlockShape.NonLinear"/> and d a half.</summary>
    /// <param name="values">A multiple of 8, finite.</param>
    /// <param name="chosen">Receives v, as many as values.</param>
    /// <returns>d; 0 when all values are.</returns>
    public static float NonLinear(ReadOnlySpan<float> values, Span<float> chosen)
    {
        var largest = Largest(values);
        chosen.Fill(s_nonLinear[^1]);
        if (largest == 0) return 0;
        var (best, leastError) = (0f, float.PositiveInfinity);
        // The table is longer on its negative side, where either sign can be put.
        foreach (var end in (ReadOnlySpan<float>)[s_nonLinear[0], s_nonLinear[^1]])
        {
            foreach (var stretch in s_stretches)
            {
                Choose(values, end * stretch / largest, s_nonLinear, chosen);
                var (squares, products, _, _) = BlockFit.Sums(values, chosen);
                var scale = (float)(Half)(products / squares);
                var error = ErrorOf(values, scale, s_nonLinear, chosen);
                if (!(error < leastError)) continue;
                (best, leastError) = (scale, error);
            }
        }

        ErrorOf(values, best, s_nonLinear, chosen);
        return best;
    }

    /// <summary>x = 2^(e - 128) · v with v one of <see cref="BlockShape.MiniFloat"/>.</summary>
    /// <param name="values">A multiple of 8, finite.</param>
    /// <param name="chosen">Receives v, as many as values.</param>
    /// <returns>e, from 0 to 254.</returns>
    public static int MiniFloat(ReadOnlySpan<float> values, Span<float> chosen)
    {
        var largest = Math.Abs(Largest(values));
        chosen.Clear();
        if (largest == 0) return 0;
        // The exponent of the largest value less the table's own, and its neighbours; not where scales have no inverse any more.
        var middle = Math.Clamp((int)MathF.Floor(MathF.Log2(largest)) + 125, ExponentMin, 254);
        var (best, leastError) = (middle, float.PositiveInfinity);
        foreach (var e in (ReadOnlySpan<int>)[middle, Math.Max(ExponentMin, middle - 1), Math.Min(254, middle + 1)])
        {
            var error = ErrorOf(values, BlockFields.PowerOfTwo(e), s_miniFloat, chosen);
            if (!(error < leastError)) continue;
            (best, leastError) = (e, error);
        }

        ErrorOf(values, BlockFields.PowerOfTwo(best), s_miniFloat, chosen);
        return best;
    }

    private static float[] Sorted(ReadOnlySpan<sbyte> table)
    {
        var values = new float[table.Length];
        for (var i = 0; i < values.Length; i++) values[i] = table[i];
        return [.. values.Distinct().Order()];
    }

    private static float Largest(ReadOnlySpan<float> values)
    {
        var largest = 0f;
        foreach (var value in values) largest = Math.Abs(value) > Math.Abs(largest) ? value : largest;
        return largest;
    }

    private static float ErrorOf(ReadOnlySpan<float> values, float scale, float[] table, Span<float> chosen)
    {
        Choose(values, scale == 0 ? 0 : 1 / scale, table, chosen);
        var errors = Vector256<float>.Zero;
        for (var i = 0; i < values.Length; i += Vector256<float>.Count)
        {
            var difference = Vector256.Create(values[i..]) - (Vector256.Create<float>(chosen[i..]) * scale);
            errors += difference * difference;
        }

        return Vector256.Sum(errors);
    }

    // The nearest entry: the first, and for each border passed the step to the next.
    private static void Choose(ReadOnlySpan<float> values, float factor, float[] table, Span<float> chosen)
    {
        for (var i = 0; i < values.Length; i += Vector256<float>.Count)
        {
            var scaled = Vector256.Create(values[i..]) * factor;
            var nearest = Vector256.Create(table[0]);
            for (var entry = 1; entry < table.Length; entry++)
            {
                var passed = Vector256.GreaterThan(scaled, Vector256.Create((table[entry - 1] + table[entry]) / 2));
                nearest += passed & Vector256.Create(table[entry] - table[entry - 1]);
            }

            nearest.CopyTo(chosen[i..]);
        }
    }
}
