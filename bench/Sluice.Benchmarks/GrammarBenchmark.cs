using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;

namespace Sluice.Benchmarks;

/// <summary>
/// What a grammar costs: compiling a schema of 50 properties, finding the allowed tokens at every byte of an answer, and tokens/s of one stream
/// with and without one, in turn. The long string has no forced text and so shows the cost alone; the 50 properties have much.
/// </summary>
internal static class GrammarBenchmark
{
    private const int Tokens = 256;
    private const int PropertyCount = 50;

    public static int Run(Arguments arguments)
    {
        using InferenceEngine engine = InferenceEngine.Load(arguments.Model, new EngineOptions { ThreadCount = arguments.Threads });
        MeasureCompiling();
        MeasureMasks(engine);
        var rows = new Dictionary<string, Grammar?>
        {
            ["free"] = null,
            ["long string"] = Grammar.FromJsonSchema(JsonElement.Parse("""{"type":"string","minLength":100000}""")),
            ["50 properties"] = Grammar.FromJsonSchema(JsonElement.Parse(Schema())),
        };
        var rates = rows.Keys.ToDictionary(static name => name, static _ => new List<double>());
        int rounds = arguments.Number("rounds", 5);
        for (int round = -1; round < rounds; round++)
        {
            foreach ((string name, Grammar? grammar) in rows)
            {
                double rate = Generate(engine, grammar, (ulong)Math.Max(0, round));
                if (round >= 0)
                {
                    rates[name].Add(rate);
                }
            }
        }

        foreach ((string name, List<double> values) in rates)
        {
            values.Sort();
            Console.WriteLine(FormattableString.Invariant($"{name} tokens/s={values[values.Count / 2]:F1} ({values[0]:F1}-{values[^1]:F1})"));
        }

        return 0;
    }

    private static void MeasureCompiling()
    {
        JsonElement schema = JsonElement.Parse(Schema());
        var times = new List<double>();
        for (int i = 0; i < 50; i++)
        {
            long start = Stopwatch.GetTimestamp();
            _ = Grammar.FromJsonSchema(schema);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        double first = times[0];
        times.Sort();
        Console.WriteLine(FormattableString.Invariant($"compile {PropertyCount} properties ms={times[times.Count / 2]:F2} (first {first:F1})"));
    }

    private static void MeasureMasks(InferenceEngine engine)
    {
        long start = Stopwatch.GetTimestamp();
        var trie = new TokenTrie(engine.Tokenizer);
        Console.WriteLine(FormattableString.Invariant(
            $"trie of {engine.Tokenizer.VocabularySize} tokens ms={Stopwatch.GetElapsedTime(start).TotalMilliseconds:F1}"));
        var masks = new TokenMasks(trie);
        Grammar grammar = Grammar.FromJsonSchema(JsonElement.Parse(Schema()));
        byte[] answer = Encoding.UTF8.GetBytes("{" + string.Join(", ", Enumerable.Range(0, PropertyCount).Select(static i =>
            $"\"property_{i}\": " + (i % 3) switch { 0 => "\"some text\"", 1 => "1234", _ => "true" })) + "}");
        foreach (string pass in (string[])["first request", "later requests"])
        {
            var times = new List<double>();
            var matcher = new GrammarMatcher(grammar);
            foreach (byte value in answer)
            {
                start = Stopwatch.GetTimestamp();
                _ = masks.Find(matcher);
                times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
                if (!matcher.TryAdvance([value]))
                {
                    throw new InvalidOperationException("The answer does not fit its schema.");
                }
            }

            times.Sort();
            Console.WriteLine(FormattableString.Invariant(
                $"mask us, {pass}: p50={times[times.Count / 2]:F1} p99={times[times.Count * 99 / 100]:F1} max={times[^1]:F1}"));
        }
    }

    private static string Schema()
    {
        IEnumerable<string> properties = Enumerable.Range(0, PropertyCount).Select(static i =>
            $"\"property_{i}\":{{\"type\":\"" + (i % 3) switch { 0 => "string\",\"maxLength\":40", 1 => "integer\"", _ => "boolean\"" } + "}");
        IEnumerable<string> names = Enumerable.Range(0, PropertyCount).Select(static i => $"\"property_{i}\"");
        return $$"""
            {"type":"object","properties":{{{string.Join(',', properties)}}},"required":[{{string.Join(',', names)}}],"additionalProperties":false}
            """;
    }

    // Tokens per second from the first token to the last.
    private static double Generate(InferenceEngine engine, Grammar? grammar, ulong seed)
    {
        var sink = new TimingSink();
        engine.TrySubmit(
            new GenerationRequest
            {
                PromptTokens = engine.EncodeChat([new PromptMessage("user", "Fill in the form as JSON.")], TimeProvider.System),
                MaxTokens = Tokens,
                Grammar = grammar,
                Sampling = new SamplingParameters { Seed = seed, LogitBias = EndsForbidden(engine) },
            },
            sink);
        return sink.Rate();
    }

    private static Dictionary<int, float> EndsForbidden(InferenceEngine engine) =>
        new TokenTrie(engine.Tokenizer).EndTokens.ToDictionary(static token => token, static _ => -100f);

    private sealed class TimingSink : IGenerationSink
    {
        private readonly ManualResetEventSlim _ended = new();
        private long _first;
        private double _seconds;
        private int _tokens;

        public double Rate()
        {
            _ended.Wait();
            return (_tokens - 1) / _seconds;
        }

        public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
        {
            _first = _first == 0 ? Stopwatch.GetTimestamp() : _first;
            _seconds = Stopwatch.GetElapsedTime(_first).TotalSeconds;
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
            _tokens = usage.CompletionTokens;
            _ended.Set();
        }

        public void OnCancelled(GenerationUsage usage) => _ended.Set();

        public void OnSuspended(GenerationProgress progress, GenerationUsage usage) => throw new NotSupportedException();

        public void OnFailed(Exception error) => _ended.Set();
    }
}
