using System.Diagnostics;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.Transformer;

namespace Sluice.Benchmarks;

/// <summary>
/// What guessing the next tokens from the text itself costs and brings: the time of a step by its rows, and tokens/s with and without on answers
/// that repeat their prompt and on free text, in turn in one process. The counts of guesses say more than the times.
/// </summary>
internal static class SpeculationBenchmark
{
    private const int ContextTokens = 512;
    private const int StepsPerRound = 24;
    private const int Tokens = 200;
    private static readonly int[] s_rows = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16];

    private static readonly string[] s_repeating =
    [
        """Repeat this JSON exactly, but change the price to 30: {"id": 4711, "name": "Garden chair", "price": 25, "colors": ["green", "white", "brown"], "stock": {"Berlin": 12, "Hamburg": 7, "Munich": 0}, "tags": ["garden", "wood", "outdoor"], "weight_kg": 4.2}""",
        """
        Write this function again and rename "total" to "sum":
        def average(values):
            total = 0
            count = 0
            for value in values:
                if value is not None:
                    total += value
                    count += 1
            if count == 0:
                return None
            return total / count
        """,
        "Quote the two most important sentences of this text: The river rises in the northern hills, where rain falls on two days of three. In spring the melting snow doubles its flow, and the meadows below the town stand under water. For this reason the old houses were built on the eastern bank, which is higher. The mill, which is the oldest building of the valley, was moved twice.",
        "Correct the spelling and repeat the whole text: The museum opens at nine in the morning and closes at six in the evening. Tickets are sold at the entrence and at the station. Children under twelve years pay nothing if an adult comes with them. Dogs are not alowed in the rooms, but may wait in the court.",
    ];

    private static readonly string[] s_free =
    [
        "Tell me a story about a lighthouse keeper who finds a letter.",
        "Explain how bread is made and why it rises.",
        "Describe a walk through a city at night.",
        "Write about the advantages of learning to play an instrument.",
    ];

    public static int Run(Arguments arguments)
    {
        int rounds = arguments.Number("rounds", 3);
        MeasureRows(arguments, rounds);
        MeasureLookup();
        using InferenceEngine with = Load(arguments, new EngineOptions().DraftTokensMax);
        using InferenceEngine without = Load(arguments, 0);
        Console.WriteLine("| answers | streams | with, tokens/s | without | ratio | ratio by round | tokens | guessed | right |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        foreach ((string name, string[] prompts, float temperature) in (ReadOnlySpan<(string, string[], float)>)
            [("that repeat, greedy", s_repeating, 0), ("that repeat, sampled", s_repeating, 0.7f), ("free, greedy", s_free, 0), ("free, sampled", s_free, 0.8f)])
        {
            foreach (int streams in (ReadOnlySpan<int>)[1, 2, 4])
            {
                Compare(name, prompts, temperature, streams, with, without, rounds);
            }
        }

        return 0;
    }

    private static InferenceEngine Load(Arguments arguments, int draftTokensMax) =>
        InferenceEngine.Load(arguments.Model, new EngineOptions { ThreadCount = arguments.Threads, DraftTokensMax = draftTokensMax, KvTokenCapacity = 16384 });

    private static void Compare(string name, string[] prompts, float temperature, int streams, InferenceEngine with, InferenceEngine without, int rounds)
    {
        var (ours, theirs) = (new List<double>(), new List<double>());
        (long drafted, long accepted, int tokens) = (0, 0, 0);
        for (int round = -1; round < rounds; round++)
        {
            if (round == 0)
            {
                (drafted, accepted, tokens) = (with.DraftedTokenCount, with.AcceptedTokenCount, 0);
            }

            (double oursSeconds, double theirsSeconds, int count) = (0, 0, 0);
            foreach (string[] group in prompts.Chunk(streams))
            {
                // Each in turn goes first, for the machine gets slower and faster.
                bool isFirst = (round + count) % 2 == 0;
                (double first, int made) = Generate(isFirst ? with : without, group, temperature, round);
                (double second, int again) = Generate(isFirst ? without : with, group, temperature, round);
                if (made != again)
                {
                    throw new InvalidOperationException("The answers are not the same.");
                }

                count += made;
                oursSeconds += isFirst ? first : second;
                theirsSeconds += isFirst ? second : first;
            }

            tokens += count;
            if (round >= 0)
            {
                ours.Add(count / oursSeconds);
                theirs.Add(count / theirsSeconds);
            }
        }

        double[] ratios = [.. ours.Zip(theirs, static (a, b) => a / b)];
        Console.WriteLine(FormattableString.Invariant(
            $"| {name} | {streams} | {Median(ours):F1} | {Median(theirs):F1} | **{Median(ratios):F2}** | {ratios.Min():F2}-{ratios.Max():F2} | {tokens} | {with.DraftedTokenCount - drafted} | {with.AcceptedTokenCount - accepted} |"));
    }

    // Prompts at once: seconds between the first token and the last, and tokens.
    private static (double Seconds, int Tokens) Generate(InferenceEngine engine, string[] prompts, float temperature, int round)
    {
        var sinks = new List<TimingSink>();
        foreach (string prompt in prompts)
        {
            var sink = new TimingSink();
            sinks.Add(sink);
            engine.TrySubmit(
                new GenerationRequest
                {
                    PromptTokens = engine.EncodeChat([new PromptMessage("user", prompt)], TimeProvider.System),
                    MaxTokens = Tokens,
                    Sampling = new SamplingParameters { Temperature = temperature, Seed = (ulong)(round + 1) },
                },
                sink);
        }

        sinks.ForEach(static sink => sink.Wait());
        return (Stopwatch.GetElapsedTime(sinks.Min(static sink => sink.First), sinks.Max(static sink => sink.Last)).TotalSeconds, sinks.Sum(static sink => sink.Tokens));
    }

    // Prose has no longer matches to end the search early, so the text is drawn with the frequencies of words.
    private static void MeasureLookup()
    {
        var random = new Random(2);
        int[] tokens = [.. Enumerable.Range(0, 4000).Select(_ => (int)Math.Pow(20_000, random.NextDouble()))];
        var times = new List<double>();
        for (int i = 0; i < 2000; i++)
        {
            long start = Stopwatch.GetTimestamp();
            _ = PromptLookup.Find(tokens.AsSpan(0, 3000 + (i % 1000)), out _);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        Console.WriteLine(FormattableString.Invariant($"lookup in 3000 to 4000 tokens, us: median={Median(times):F1} least={times.Min():F1}"));
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static void MeasureRows(Arguments arguments, int rounds)
    {
        using TransformerModel model = TransformerModel.Load(arguments.Model, arguments.Threads, 16, 1024);
        var random = new Random(1);
        int[] tokens = [.. Enumerable.Range(0, ContextTokens).Select(_ => random.Next(300, 40_000))];
        var sequence = new KvSequence();
        model.Cache.TryGrow(sequence, ContextTokens + 32);
        var batch = new StepBatch();
        for (int start = 0; start < ContextTokens - 1; start += 64)
        {
            batch.Clear();
            batch.Add(sequence, tokens, start, Math.Min(64, ContextTokens - 1 - start), false);
            model.Forward(batch, null);
        }

        var times = s_rows.ToDictionary(static row => row, static _ => new List<double>());
        for (int step = -8; step < StepsPerRound * rounds; step++)
        {
            foreach (int rows in s_rows)
            {
                batch.Clear();
                batch.AddDrafted(sequence, tokens, tokens, rows - 1);
                long start = Stopwatch.GetTimestamp();
                model.Forward(batch, null);
                if (step >= 0)
                {
                    times[rows].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                }
            }
        }

        foreach ((int rows, List<double> list) in times)
        {
            Console.WriteLine(FormattableString.Invariant(
                $"step of {rows} rows, ms: median={Median(list):F2} ({Median(list) / Median(times[1]):F2} of one row) least={list.Min():F2} ({list.Min() / times[1].Min():F2})"));
        }
    }

    private sealed class TimingSink : IGenerationSink
    {
        private readonly ManualResetEventSlim _ended = new();

        public long First { get; private set; }

        public long Last { get; private set; }

        public int Tokens { get; private set; }

        public void Wait() => _ended.Wait();

        public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
        {
            Last = Stopwatch.GetTimestamp();
            First = First == 0 ? Last : First;
        }

        // No tools, no reasoning.
        public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => throw new NotSupportedException();

        public void OnToolCall(int choiceIndex, int callIndex, string tool) => throw new NotSupportedException();

        public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => throw new NotSupportedException();

        public void OnFinished(int choiceIndex, FinishReason reason)
        {
        }

        public void OnCompleted(GenerationUsage usage)
        {
            Tokens = usage.CompletionTokens;
            _ended.Set();
        }

        public void OnCancelled(GenerationUsage usage) => throw new NotSupportedException();

        public void OnSuspended(GenerationProgress progress, GenerationUsage usage) => throw new NotSupportedException();

        public void OnFailed(Exception error) => throw new InvalidOperationException("The engine failed.", error);
    }
}
