using System.Diagnostics;
using System.Globalization;
using Sluice.Inference.Kernels;
using Sluice.Inference.Transformer;

namespace Sluice.Benchmarks;

/// <summary>
/// The engine without scheduler and HTTP: what llama-batched-bench measures of llama.cpp. Random tokens, as there; every decoding stream
/// has a prompt of its own behind it.
/// </summary>
internal static class EngineBenchmark
{
    public static int Run(Arguments arguments)
    {
        foreach ((string name, double value) in Measure(arguments))
        {
            Console.WriteLine(FormattableString.Invariant($"{name}={value:F2}"));
        }

        return 0;
    }

    public static int Prompt(Arguments arguments) => arguments.Number("prompt", 512);

    public static int Context(Arguments arguments) => arguments.Number("context", 512);

    public static int Decoded(Arguments arguments) => arguments.Number("tokens", 64);

    public static int[] Streams(Arguments arguments) =>
        [.. arguments.Text("streams", "1,4,16").Split(',', StringSplitOptions.RemoveEmptyEntries).Select(static n => int.Parse(n, CultureInfo.InvariantCulture))];

    private static IEnumerable<(string Name, double Value)> Measure(Arguments arguments)
    {
        int prompt = Prompt(arguments);
        int context = Context(arguments);
        int decoded = Decoded(arguments);
        int[] streams = Streams(arguments);
        yield return ("bandwidth GB/s", Bandwidth(arguments.Threads));
        int slots = streams.Append(1).Max();
        using TransformerModel model = TransformerModel.Load(
            arguments.Model, arguments.Threads, slots, ((slots * (context + ((streams.Length + 1) * decoded))) + prompt) * 2L);
        yield return ("weights / file", (double)model.WeightBytes / new FileInfo(arguments.Model).Length);

        // The first pass warms caches and the JIT.
        for (int pass = 0; prompt > 0 && pass < 2; pass++)
        {
            var sequence = new KvSequence();
            double seconds = Time(() => Prefill(model, sequence, 1, prompt));
            model.Cache.Release(sequence);
            if (pass == 1)
            {
                yield return ($"prompt {prompt} tokens/s", prompt / seconds);
            }
        }

        KvSequence[] sequences = [.. Enumerable.Range(0, slots).Select(_ => new KvSequence())];
        for (int i = 0; streams.Length > 0 && i < slots; i++)
        {
            Prefill(model, sequences[i], i, context);
            model.Cache.TryGrow(sequences[i], context + ((streams.Length + 1) * decoded));
        }

        foreach (int count in streams)
        {
            KvSequence[] some = sequences[..count];
            Decode(model, some, 4);
            double decode = Time(() => Decode(model, some, decoded));
            yield return ($"decode {count} tokens/s", count * decoded / decode);
        }
    }

    private static void Prefill(TransformerModel model, KvSequence sequence, int seed, int length)
    {
        int[] tokens = Tokens(seed, length);
        var batch = new StepBatch();
        model.Cache.TryGrow(sequence, tokens.Length);
        for (int start = 0; start < length; start += model.StepTokenCapacity)
        {
            int count = Math.Min(model.StepTokenCapacity, length - start);
            batch.Clear();
            batch.Add(sequence, tokens, start, count, start + count == length);
            model.Forward(batch, null);
            sequence.Length += count;
        }
    }

    private static void Decode(TransformerModel model, KvSequence[] sequences, int count)
    {
        int[] tokens = Tokens(99, sequences.Max(static s => s.Length) + count);
        var batch = new StepBatch();
        for (int i = 0; i < count; i++)
        {
            batch.Clear();
            foreach (KvSequence sequence in sequences)
            {
                batch.Add(sequence, tokens, sequence.Length, 1, true);
                sequence.Length++;
            }

            model.Forward(batch, null);
        }
    }

    private static int[] Tokens(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(300, 40_000))];
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
