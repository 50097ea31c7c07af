using System.Diagnostics;
using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Testing;

namespace Sluice.Benchmarks;

/// <summary>Matrix products of one thread, by type and number of columns, in billions of multiplications a second.</summary>
internal static unsafe class KernelBenchmark
{
    private const int Length = 2048;

    // 2 to 4 MB of weights: from the third-level cache on, so that multiplication counts, not memory.
    private const int Rows = 2048;
    private const double SecondsMin = 0.2;

    private static readonly int[] s_columns = [1, 4, 8, 64];

    public static int Run(Arguments arguments)
    {
        KernelPath path = Enum.Parse<KernelPath>(arguments.Text("path", KernelPaths.Best.ToString()), ignoreCase: true);
        GgufTensorType[] types = [.. arguments.Text("types", "Q4_0,Q4_1,Q8_0,Q4_K,Q5_K,Q6_K,Q3_K,Q2_K,IQ4_NL,IQ4_XS,MXFP4,F16").Split(',').Select(Enum.Parse<GgufTensorType>)];
        Console.WriteLine($"| {path}, GMAC/s | {string.Join(" | ", s_columns)} |");
        Console.WriteLine($"|---|{string.Concat(s_columns.Select(static _ => "---|"))}");
        foreach (GgufTensorType type in types)
        {
            Console.WriteLine($"| {type} | {string.Join(" | ", s_columns.Select(columns => Measure(type, path, columns).ToString("F1", System.Globalization.CultureInfo.InvariantCulture)))} |");
        }

        return 0;
    }

    private static double Measure(GgufTensorType type, KernelPath path, int columns)
    {
        var random = new RandomBlocks("kernels");
        byte[] rows = type == GgufTensorType.F16
            ? [.. random.Singles((long)16 * Length, 1).SelectMany(static v => BitConverter.GetBytes((Half)v))]
            : random.Blocks(type, (long)16 * Length, 1);
        using var arena = new WeightArena(0);
        PackedMatrix matrix = PackedMatrices.Create(arena, type, Rows, Length);
        matrix.Path = path;
        fixed (byte* source = rows)
        {
            for (int group = 0; group < matrix.GroupCount; group++)
            {
                matrix.PackGroup(group, source, rows.Length / 16, static row => row % 16);
            }
        }

        using var input = new BatchInput(Length, columns, quantized: true);
        input.Begin(columns);
        for (int column = 0; column < columns; column++)
        {
            random.Singles(Length, 1).CopyTo(new Span<float>(input.Column(column), Length));
            input.Seal(column);
        }

        using var output = new NativeBuffer((long)columns * Rows * sizeof(float));
        double best = 0;
        for (int round = 0; round < 3; round++)
        {
            long start = Stopwatch.GetTimestamp();
            int passes = 0;
            double seconds;
            do
            {
                for (int group = 0; group < matrix.GroupCount; group++)
                {
                    matrix.MultiplyGroup(group, input, output.Singles + (group * PackedMatrix.GroupRows), Rows, false);
                }

                passes++;
                seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
            while (seconds < SecondsMin);
            best = Math.Max(best, passes * (double)Rows * Length * columns / seconds / 1e9);
        }

        return best;
    }
}
