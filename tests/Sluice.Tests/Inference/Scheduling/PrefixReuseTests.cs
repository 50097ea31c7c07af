using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.ToolCalls;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Inference.Truth;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>What is found in the cache changes no bit of an answer.</summary>
[Collection(ShippedModel.Collection)]
public sealed class PrefixReuseTests(ShippedModel shipped)
{
    [Theory]
    [InlineData("llama-Q4_1", 0)]
    [InlineData("qwen3", 1)]
    public async Task Answers_are_those_of_an_engine_that_found_nothing(string name, float temperature)
    {
        using var file = new TemporaryGguf(TinyModel.Get(name).ToArray());
        using InferenceEngine roomy = InferenceEngine.Load(file.Path, new EngineOptions { ThreadCount = 1, KvTokenCapacity = 16384 });

        // Sixteen blocks: three or four of these generations, so that what is kept is given up again and again, and so are running ones' blocks.
        using InferenceEngine small = InferenceEngine.Load(file.Path, new EngineOptions { ThreadCount = 1, KvTokenCapacity = 512, SlotCount = 6 });
        var random = new Random(3);
        int[] common = [.. Enumerable.Range(0, 150).Select(_ => random.Next(256))];
        GenerationRequest[] requests = [.. Enumerable.Range(0, 40).Select(i => new GenerationRequest
        {
            PromptTokens = [.. common[..random.Next(150)], .. Enumerable.Range(0, 1 + random.Next(30)).Select(_ => random.Next(256))],
            MaxTokens = 1 + random.Next(60),
            ChoiceCount = 1 + (i % 3 == 0 ? random.Next(3) : 0),
            Sampling = new SamplingParameters { Temperature = temperature, Seed = (ulong)i, TopLogprobs = 0 },
        })];
        var sinks = new List<TokenSink>();
        for (int i = 0; i < requests.Length; i++)
        {
            var sink = new TokenSink();
            Assert.NotNull(small.TrySubmit(requests[i], sink));
            sinks.Add(sink);
            if (i >= 8)
            {
                await sinks[i - 8].Ended;
            }
        }

        int cached = 0;
        for (int i = 0; i < requests.Length; i++)
        {
            GenerationUsage usage = await sinks[i].Ended;
            Assert.InRange(usage.CachedPromptTokens, 0, usage.PromptTokens - 1);
            cached += usage.CachedPromptTokens;
            var alone = new TokenSink();
            roomy.TrySubmit(requests[i] with { Scope = $"alone {i}" }, alone);
            Assert.Equal(0, (await alone.Ended).CachedPromptTokens);
            Assert.Equal(alone.Tokens, sinks[i].Tokens);
        }

        Assert.True(cached > 500, $"{cached} tokens were found.");
    }

    [Fact]
    public async Task A_conversation_goes_on_from_what_its_first_turn_computed()
    {
        PromptMessage[] first = [new("system", "You are terse."), new("user", "Name three colours and say a word about each.")];
        (string text, GenerationUsage usage) = await AskAsync(first, "", null);
        PromptMessage[] second = [.. first, new("assistant", text), new("user", "And a fourth?")];
        (string alone, GenerationUsage none) = await AskAsync(second, "alone", null);
        (string again, GenerationUsage reused) = await AskAsync(second, "", null);
        Assert.Equal(alone, again);
        Assert.Equal(0, none.CachedPromptTokens);
        Assert.InRange(reused.CachedPromptTokens, usage.PromptTokens, reused.PromptTokens - 1);
    }

    [Fact]
    public async Task Under_a_grammar_and_with_tools_too()
    {
        PromptMessage[] messages = [new("user", "What is the weather like in Paris today?")];
        JsonElement definition = JsonElement.Parse(
            """{"name":"get_weather","description":"Current weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}""");
        var tools = new PromptTools([new PromptTool("get_weather", definition, IsStrict: true)]) { IsRequired = true };
        Grammar grammar = Grammar.FromJsonSchema(JsonElement.Parse(
            """{"type":"object","properties":{"city":{"type":"string","maxLength":12},"warm":{"type":"boolean"}},"required":["city","warm"],"additionalProperties":false}"""));
        foreach ((PromptTools? with, Grammar? under) in ((PromptTools?, Grammar?)[])[(tools, null), (null, grammar)])
        {
            (string alone, _) = await AskAsync(messages, $"alone {under != null}", with, under);
            (string first, _) = await AskAsync(messages, "", with, under);
            (string second, GenerationUsage usage) = await AskAsync(messages, "", with, under);
            Assert.Equal(alone, first);
            Assert.Equal(alone, second);
            Assert.Equal(usage.PromptTokens - 1, usage.CachedPromptTokens);
        }
    }

    private async Task<(string Text, GenerationUsage Usage)> AskAsync(PromptMessage[] messages, string scope, PromptTools? tools, Grammar? grammar = null)
    {
        ChatPrompt prompt = shipped.Engine.EncodeChat(messages, tools, TimeProvider.System);
        var sink = new CollectingSink();
        shipped.Engine.TrySubmit(
            new GenerationRequest
            {
                PromptTokens = prompt.Tokens,
                Answer = prompt.Answer,
                Grammar = grammar,
                MaxTokens = 60,
                Scope = "prefix reuse " + scope,
                Sampling = new SamplingParameters { Temperature = 0.8f, Seed = 12 },
            },
            sink);
        Assert.Equal("completed", await sink.Ended);
        return (sink.Text() + string.Concat(sink.Calls), sink.Usage);
    }

    /// <summary>Keeps tokens and the bits of their probabilities.</summary>
    private sealed class TokenSink : IGenerationSink
    {
        private readonly TaskCompletionSource<GenerationUsage> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public SortedDictionary<int, string> Tokens { get; } = [];

        public Task<GenerationUsage> Ended => _ended.Task;

        public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
        {
            foreach (TokenLogprob token in tokens)
            {
                Add(choiceIndex, $"{token.Token}:{BitConverter.SingleToInt32Bits(token.Logprob):x} ");
            }
        }

        public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => throw new NotSupportedException();

        public void OnToolCall(int choiceIndex, int callIndex, string tool) => throw new NotSupportedException();

        public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => throw new NotSupportedException();

        public void OnFinished(int choiceIndex, FinishReason reason) => Add(choiceIndex, reason.ToString());

        public void OnCompleted(GenerationUsage usage) => _ended.SetResult(usage);

        public void OnCancelled(GenerationUsage usage) => _ended.SetCanceled();

        public void OnSuspended(GenerationProgress progress, GenerationUsage usage) => throw new NotSupportedException();

        public void OnFailed(Exception error) => _ended.SetException(error);

        private void Add(int choice, string text) => Tokens[choice] = Tokens.GetValueOrDefault(choice) + text;
    }
}
