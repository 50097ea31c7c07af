using Sluice.Inference.Sampling;
using Sluice.Inference.Scheduling;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Inference.Scheduling;
using Xunit;

namespace Sluice.Tests.Inference.Architectures;

/// <summary>What the engine promises, for models whose state can't be cut back: answers don't tell how they came about.</summary>
public sealed class HybridEngineTests
{
    public static TheoryData<string> Hybrids => [.. TinyArchitectures.Hybrids.Select(static m => m.Name)];

    // The second turn repeats the first one with its answer, as a chat does; the third parts from the second one's answer, as an edited one does.
    [Theory]
    [MemberData(nameof(Hybrids))]
    public async Task A_further_turn_finds_the_ones_before(string name)
    {
        using var engine = Load(name, new EngineOptions { ThreadCount = 1 });
        var first = Tokens("first", 100);
        var answer = await AnswerAsync(engine, first, "a", 30);
        int[] second = [.. first, .. answer.Tokens, .. Tokens("more", 20)];
        int[] third = [.. first, .. answer.Tokens[..4], .. Tokens("other", 20)];
        var found = await AnswerAsync(engine, second, "a", 30);
        var edited = await AnswerAsync(engine, third, "a", 30);

        // All but the last token of the answer, and of the edited one the last border of the first prompt.
        Assert.Equal(129, found.Usage.CachedPromptTokens);
        Assert.Equal(96, edited.Usage.CachedPromptTokens);
        Assert.Equal((await AnswerAsync(engine, second, "b", 30)).Tokens, found.Tokens);
        Assert.Equal((await AnswerAsync(engine, third, "c", 30)).Tokens, edited.Tokens);
    }

    [Theory]
    [MemberData(nameof(Hybrids))]
    public async Task Answers_are_the_same_beside_others_that_take_their_blocks(string name)
    {
        var prompts = Enumerable.Range(0, 8).Select(i => (int[])[.. Tokens("system", 40), .. Tokens($"user {i}", 5 + (i * 9))]).ToArray();
        using var wide = Load(name, new EngineOptions { ThreadCount = 1 });
        using var narrow = Load(name, new EngineOptions { ThreadCount = 2, SlotCount = 4, KvTokenCapacity = 512 });
        var alone = new List<int[]>();
        foreach (var prompt in prompts) alone.Add((await AnswerAsync(wide, prompt, $"alone {alone.Count}", 40)).Tokens);
        var together = await Task.WhenAll(prompts.Select(prompt => AnswerAsync(narrow, prompt, "all", 40)));
        Assert.Equal(alone, together.Select(static answer => answer.Tokens));
    }

    [Theory]
    [MemberData(nameof(Hybrids))]
    public async Task Choices_of_one_prompt_are_what_they_would_be_apart(string name)
    {
        using var engine = Load(name, new EngineOptions { ThreadCount = 1 });
        var request = Request(Tokens("choices", 70), "a", 20) with
        {
            ChoiceCount = 3,
            Sampling = new SamplingParameters { Temperature = 1, Seed = 5 },
        };
        using var narrow = Load(name, new EngineOptions { ThreadCount = 1, SlotCount = 1 });
        Assert.Equal(await TextsAsync(narrow, request), await TextsAsync(engine, request));
    }

    [Theory]
    [MemberData(nameof(Hybrids))]
    public async Task An_answer_goes_on_where_it_was_suspended(string name)
    {
        using var engine = Load(name, new EngineOptions { ThreadCount = 1 });
        var request = Request(Tokens("suspended", 50), "a", 60);
        var whole = await AnswerAsync(engine, request.PromptTokens, "b", 60);
        var sink = new CollectingSink();
        var generation = engine.TrySubmit(request, sink)!;
        await sink.Started;
        generation.Suspend();
        if (await sink.Ended == "suspended")
        {
            var rest = new CollectingSink();
            engine.TrySubmit(request with { From = sink.Progress }, rest);
            Assert.Equal("completed", await rest.Ended);
            Assert.Equal(whole.Tokens, sink.Tokens.Concat(rest.Tokens).Select(static t => t.Token));
        }
    }

    [Fact]
    public async Task Nothing_is_guessed()
    {
        using var engine = Load("qwen35", new EngineOptions { ThreadCount = 1 });
        int[] again = [.. Enumerable.Repeat(Tokens("again", 10), 6).SelectMany(static t => t)];
        await AnswerAsync(engine, again, "a", 60);
        Assert.Equal(0, engine.DraftedTokenCount);
    }

    private static async Task<(int[] Tokens, GenerationUsage Usage)> AnswerAsync(InferenceEngine engine, IReadOnlyList<int> prompt, string scope, int count)
    {
        var sink = new CollectingSink();
        engine.TrySubmit(Request(prompt, scope, count), sink);
        Assert.Equal("completed", await sink.Ended);
        return ([.. sink.Tokens.Select(static t => t.Token)], sink.Usage);
    }

    private static async Task<string[]> TextsAsync(InferenceEngine engine, GenerationRequest request)
    {
        var sink = new CollectingSink(request.ChoiceCount);
        engine.TrySubmit(request, sink);
        Assert.Equal("completed", await sink.Ended);
        return [.. Enumerable.Range(0, request.ChoiceCount).Select(sink.Text)];
    }

    // No token ends an answer, so that its length is known.
    private static GenerationRequest Request(IReadOnlyList<int> prompt, string scope, int count) => new()
    {
        PromptTokens = prompt,
        MaxTokens = count,
        Scope = scope,
        Sampling = new SamplingParameters { Temperature = 0, TopLogprobs = 0, LogitBias = NoEnd },
    };

    private static readonly Dictionary<int, float> NoEnd = new() { [256] = -100, [257] = -100, [258] = -100 };

    private static InferenceEngine Load(string name, EngineOptions options)
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get(name).ToArray());
        return InferenceEngine.Load(file.Path, options);
    }

    private static int[] Tokens(string name, int length)
    {
        var random = new RandomBlocks(name);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(256))];
    }
}
