using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.ToolCalls;

namespace Sluice.Benchmarks;

/// <summary>How often a model that knows nothing of tools decides right between text and a call, and what reading an answer costs.</summary>
internal static class ToolBenchmark
{
    private static readonly PromptMessage[] s_history =
    [
        new("user", "Who wrote Hamlet?"), new("assistant", "Hamlet was written by William Shakespeare."),
        new("user", "What's the weather in Oslo?"),
        new("assistant", "") { ToolCalls = [new PromptToolCall("call_1", "get_weather", "{\"location\": \"Oslo\"}")] },
        new("tool", "3 degrees, snow", "get_weather") { ToolCallId = "call_1" },
        new("assistant", "It is 3 degrees and it snows in Oslo."),
    ];

    public static int Run(Arguments arguments)
    {
        using var engine = InferenceEngine.Load(arguments.Model, new EngineOptions { ThreadCount = arguments.Threads });
        int seeds = arguments.Number("seeds", 50);
        Answer greedy = Ask(engine, ToolPrompts.GuideQuestion, ToolPrompts.Guide, 0, 0);
        Console.WriteLine($"guide's question, greedy: {greedy}");
        int right = Enumerable.Range(1, seeds).Count(seed => Ask(engine, ToolPrompts.GuideQuestion, ToolPrompts.Guide, 1, (ulong)seed).Calls("get_weather", "Berlin"));
        int called = Enumerable.Range(1, seeds).Count(seed => Ask(engine, ToolPrompts.GuideQuestion, ToolPrompts.Guide, 1, (ulong)seed).Tool == "get_weather");
        Console.WriteLine($"guide's question, temperature 1: {called} of {seeds} call the tool, {right} of them for Berlin");
        foreach (ToolPrompts prompts in (ToolPrompts[])[ToolPrompts.Forty, ToolPrompts.Chosen])
        {
            foreach (float temperature in (float[])[0, 1])
            {
                Judge(engine, prompts, temperature, [], arguments.Text("verbose", "") == "true");
            }

            Judge(engine, prompts, 0, s_history, arguments.Text("verbose", "") == "true");
        }

        ReadSpeed();
        return 0;
    }

    private static void Judge(InferenceEngine engine, ToolPrompts prompts, float temperature, PromptMessage[] history, bool isVerbose)
    {
        (int calls, int tools, int valid, int texts) = (0, 0, 0, 0);
        ulong seed = 1;
        foreach ((string question, string tool) in prompts.Needing)
        {
            Answer answer = Ask(engine, question, prompts.Tools, temperature, seed++, history);
            calls += answer.Tool != null ? 1 : 0;
            tools += answer.Tool == tool ? 1 : 0;
            valid += answer.IsValid ? 1 : 0;
            if (isVerbose) Console.WriteLine($"  {question} -> {answer}");
        }

        foreach (string question in prompts.Others)
        {
            Answer answer = Ask(engine, question, prompts.Tools, temperature, seed++, history);
            texts += answer.Tool == null ? 1 : 0;
            if (isVerbose) Console.WriteLine($"  {question} -> {answer}");
        }

        Console.WriteLine(
            $"{prompts.Name}{(history.Length > 0 ? " after a conversation" : "")}, temperature {temperature}: of {prompts.Needing.Length} that need a tool {calls} call, {tools} the right one, {valid} with valid arguments; "
            + $"of {prompts.Others.Length} that need none {texts} are answered with text");
    }

    private static Answer Ask(
        InferenceEngine engine, string question, PromptTool[] tools, float temperature, ulong seed, params PromptMessage[] history)
    {
        ChatPrompt prompt = engine.EncodeChat([.. history, new PromptMessage("user", question)], new PromptTools(tools), TimeProvider.System);
        var sink = new Answer();
        engine.TrySubmit(
            new GenerationRequest
            {
                PromptTokens = prompt.Tokens,
                Answer = prompt.Answer,
                MaxTokens = 128,
                Sampling = new SamplingParameters { Temperature = temperature, Seed = seed },
            },
            sink);
        sink.Ended.Wait();
        return sink;
    }

    private static void ReadSpeed()
    {
        byte[] text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(
            "Let me see.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Berlin\", \"days\": [1, 2, 3]}}\n</tool_call>\n", 1000)));
        var best = double.MaxValue;
        for (int round = 0; round < 20; round++)
        {
            var reader = new AnswerParser(ToolCallDialect.Hermes, ["get_weather"u8.ToArray()], knowsReasoning: true);
            long start = Stopwatch.GetTimestamp();
            for (int at = 0; at < text.Length; at += 4)
            {
                reader.Read(text.AsSpan(at, Math.Min(4, text.Length - at)), isLast: false);
            }

            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds / text.Length);
        }

        Console.WriteLine($"reading calls in pieces of 4 bytes: {best:F1} ns a byte");
    }

    private sealed class Answer : IGenerationSink
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private string _text = "";
        private string _arguments = "";

        public Task Ended => _ended.Task;

        public string? Tool { get; private set; }

        public bool IsValid
        {
            get
            {
                try
                {
                    using var document = JsonDocument.Parse(_arguments);
                    return Tool != null;
                }
                catch (JsonException)
                {
                    return false;
                }
            }
        }

        public bool Calls(string tool, string argument) => Tool == tool && _arguments.Contains(argument, StringComparison.Ordinal);

        public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens) => _text += Encoding.UTF8.GetString(utf8);

        public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => _text += Encoding.UTF8.GetString(utf8);

        public void OnToolCall(int choiceIndex, int callIndex, string tool) => Tool ??= tool;

        public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => _arguments += Encoding.UTF8.GetString(utf8Json);

        public void OnFinished(int choiceIndex, FinishReason reason)
        {
        }

        public void OnCompleted(GenerationUsage usage) => _ended.SetResult();

        public void OnCancelled(GenerationUsage usage) => _ended.SetResult();

        public void OnSuspended(GenerationProgress progress, GenerationUsage usage) => throw new NotSupportedException();

        public void OnFailed(Exception error) => _ended.SetException(error);

        public override string ToString() => Tool == null ? _text[..Math.Min(_text.Length, 60)].ReplaceLineEndings(" ") : $"{Tool}({_arguments})";
    }
}
