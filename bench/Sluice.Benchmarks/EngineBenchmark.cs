using System.Diagnostics;
using Sluice.Inference.Kernels;
using Sluice.Inference.Transformer;

namespace Sluice.Benchmarks;

/// <summary>
/// The engine without scheduler and HTTP: what llama-batched-bench measures of llama.cpp. Random tokens, as there; every decoding stream
/// has a prompt of 512 tokens behind it.
/// </summary>
internal static class EngineBenchmark
{
    public const int PromptTokens = 512;
    public const int DecodeTokens = 64;
    public static readonly int[] StreamCounts = [1, 4, 16];

    public static int Run(Arguments arguments)
    {
        foreach ((string name, double value) in Measure(arguments.Model, arguments.Threads))
        {
            Console.WriteLine(FormattableString.Invariant($"{name}={value:F1}"));
        }

        return 0;
    }

    public static IEnumerable<(string Name, double Value)> Measure(string path, int threads)
    {
        yield return ("bandwidth GB/s", Bandwidth(threads));
        using TransformerModel model = TransformerModel.Load(path, threads, StreamCounts.Max(), null);

        // The first pass warms caches and the JIT.
        for (int pass = 0; pass < 2; pass++)
        {
            var sequence = new KvSequence();
            double seconds = Time(() => Prefill(model, sequence, 1));
            model.Cache.Release(sequence);
            if (pass == 1)
            {
                yield return ("prompt 512 tokens/s", PromptTokens / seconds);
            }

            foreach (int count in StreamCounts)
            {
                KvSequence[] sequences = [.. Enumerable.Range(0, count).Select(_ => new KvSequence())];
                for (int i = 0; i < count; i++)
                {
                    Prefill(model, sequences[i], i);
                }

                double decode = Time(() => Decode(model, sequences));
                foreach (KvSequence s in sequences)
                {
                    model.Cache.Release(s);
                }

                if (pass == 1)
                {
                    yield return ($"decode {count} tokens/s", count * DecodeTokens / decode);
                }
            }
        }
    }

    private static void Prefill(TransformerModel model, KvSequence sequence, int seed)
    {
        int[] tokens = Tokens(seed);
        var batch = new StepBatch();
        model.Cache.TryGrow(sequence, tokens.Length);
        for (int start = 0; start < PromptTokens; start += model.StepTokenCapacity)
        {
            int count = Math.Min(model.StepTokenCapacity, PromptTokens - start);
            batch.Clear();
            batch.Add(sequence, tokens, start, count, start + count == PromptTokens);
            model.Forward(batch, null);
            sequence.Length += count;
        }
    }

    private static void Decode(TransformerModel model, KvSequence[] sequences)
    {
        int[] tokens = Tokens(99);
        var batch = new StepBatch();
        for (int i = 0; i < DecodeTokens; i++)
        {
            batch.Clear();
            foreach (KvSequence sequence in sequences)
            {
                batch.Add(sequence, tokens, PromptTokens + i, 1, true);
                sequence.Length++;
            }

            model.Forward(batch, null);
        }
    }

    private static int[] Tokens(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, PromptTokens + DecodeTokens).Select(_ => random.Next(300, 40_000))];
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    // Reads 512 MiB on all threads: the ceiling of a lone stream's decode speed, which reads every weight once per token.
    private static unsafe double Bandwidth(int threads)
    {
        const long Bytes = 512L << 20;
        using var buffer = new NativeBuffer(Bytes);
        nint address = (nint)buffer.Bytes;
        double best = double.MaxValue;
        for (int round = 0; round < 4; round++)
        {
            best = Math.Min(best, Time(() => Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, t =>
            {
                long share = Bytes / threads / 256 * 256;
                Sink = Sum((byte*)address + (t * share), share);
            })));
        }

        return Bytes / best / 1e9;
    }

    internal static long Sink { get; set; }

    private static unsafe long Sum(byte* start, long length)
    {
        var a = System.Runtime.Intrinsics.Vector512<long>.Zero;
        var b = a;
        for (long i = 0; i < length; i += 128)
        {
            a += System.Runtime.Intrinsics.Vector512.Load((long*)(start + i));
            b += System.Runtime.Intrinsics.Vector512.Load((long*)(start + i + 64));
        }

        return System.Runtime.Intrinsics.Vector512.Sum(a + b);
    }
}
