using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>What the scheduler computes, and when, on a model that counts its work and takes time on a manual clock.</summary>
public sealed class SchedulerTests
{
    private static readonly Lazy<Tokenizer> s_tokenizer = new(static () =>
    {
        using var tiny = TinyModelFile.Load("llama");
        return tiny.Model.Tokenizer;
    });

    // The first is this engine on two cores of a small server with the model that the repository carries.
    [Theory]
    [InlineData(10, 1.2, 0.0008)]
    [InlineData(5, 0.3, 0.002)]
    [InlineData(40, 2.5, 0.0012)]
    public void A_prompt_of_4000_tokens_widens_the_gaps_of_three_chats_by_at_most_150_ms(double step, double token, double context)
    {
        using var model = new WorkModel(s_tokenizer.Value) { StepMilliseconds = step, TokenMilliseconds = token, ContextMilliseconds = context };
        var run = new Run(model);
        PacedSink[] chats = [.. Enumerable.Range(0, 3).Select(i => run.Start(Tokens(100, 1000 * i), maxTokens: 2000))];
        run.Until(() => Array.TrueForAll(chats, chat => chat.TextCount > 0));
        Array.ForEach(chats, chat => chat.Forget());
        run.Until(() => chats[0].TextCount > 40);
        double before = chats.Max(chat => chat.LargestGap);

        PacedSink prompt = run.Start(Tokens(4000, 5000), maxTokens: 1);
        run.Until(() => prompt.HasEnded);
        double beside = chats.Max(chat => chat.LargestGap);
        Assert.InRange(beside - before, 1, 150);

        // The same question once more, and another behind the same 3,500 tokens: what is found costs nothing, what is behind it attends to all of it.
        int[] parting = [.. Tokens(3500, 5000), .. Tokens(400, 20_000)];
        PacedSink other = run.Start(parting, maxTokens: 1);
        run.Until(() => other.HasEnded);
        Assert.Equal(3500, other.Usage.CachedPromptTokens);
        Assert.InRange(chats.Max(chat => chat.LargestGap) - before, 1, 150);
    }

    [Theory]
    [InlineData(10, 1.2, 0.0008)]
    [InlineData(40, 2.5, 0.0012)]
    public void Prompts_that_are_scored_have_at_most_16_rows_of_logits_in_a_step_and_widen_no_gap_by_more_than_other_prompts(double step, double token, double context)
    {
        using var model = new WorkModel(s_tokenizer.Value) { StepMilliseconds = step, TokenMilliseconds = token, ContextMilliseconds = context };
        var run = new Run(model);
        PacedSink[] chats = [.. Enumerable.Range(0, 3).Select(i => run.Start(Tokens(100, 1000 * i), maxTokens: 2000))];
        run.Until(() => Array.TrueForAll(chats, chat => chat.TextCount > 40));
        double before = chats.Max(chat => chat.LargestGap);
        PacedSink[] scored = [.. Enumerable.Range(0, 3).Select(i => run.Score(Tokens(500, 5000 * i)))];
        run.Until(() => Array.TrueForAll(scored, prompt => prompt.HasEnded));
        Assert.InRange(chats.Max(chat => chat.LargestGap) - before, -before, 150);
        Assert.InRange(model.LogitRowsMax, 10, 3 + TransformerLimits.ScoredRows);
    }

    [Fact]
    public void A_prompt_behind_a_long_cached_one_widens_no_gap_by_more_than_150_ms_though_only_short_ones_came_before()
    {
        using var model = new WorkModel(s_tokenizer.Value) { StepMilliseconds = 10, TokenMilliseconds = 1.2, ContextMilliseconds = 0.0008 };
        int[] history = Tokens(4000, 5000);
        new Run(model).Finish(history, 1);

        // Another loop knows nothing of what it has cost.
        var run = new Run(model);
        PacedSink chat = run.Start(Tokens(100, 0), maxTokens: 500);
        run.Until(() => chat.TextCount > 20);
        chat.Forget();
        PacedSink second = run.Start([.. history, .. Tokens(500, 20_000)], maxTokens: 1);
        run.Until(() => second.HasEnded);
        Assert.Equal(4000, second.Usage.CachedPromptTokens);
        Assert.InRange(chat.LargestGap, 10, 160);
    }

    [Fact]
    public void The_cost_of_a_step_is_learnt_for_tokens_and_for_what_they_attend_to()
    {
        var cost = new StepCost(attentionShare: 0.001);
        for (int i = 0; i < 400; i++)
        {
            int start = i * 37 % 6000;
            cost.Learn((64 * 2.0) + (0.0005 * StepCost.Context(start, 64)), 64, StepCost.Context(start, 64));
        }

        Assert.Equal(200, cost.Estimate(0, 100), 200 * 0.1);
        Assert.Equal((100 * 2.0) + (0.0005 * StepCost.Context(5000, 100)), cost.Estimate(5000, 100), 450 * 0.1);
        foreach (int start in (int[])[0, 100, 5000])
        {
            int tokens = cost.TokensWithin(40, start);
            Assert.True(cost.Estimate(start, tokens) <= 40);
            Assert.True(cost.Estimate(start, tokens + 1) > 40);
        }

        Assert.Equal(0, cost.TokensWithin(0, 100));
        Assert.Equal(int.MaxValue, cost.TokensWithin(double.PositiveInfinity, 100));
    }

    [Fact]
    public void The_second_turn_of_a_chat_computes_only_what_is_new()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model);
        int[] first = Tokens(1000, 0);
        run.Finish(first, maxTokens: 50);
        int[] second = [.. first, .. Enumerable.Repeat(WorkModel.Letter, 50), .. Tokens(30, 5000)];
        long computed = model.ComputedTokenCount;
        PacedSink sink = run.Finish(second, maxTokens: 1);

        // The last token of the answer was chosen and never computed.
        Assert.Equal(1049, sink.Usage.CachedPromptTokens);
        Assert.Equal(computed + 31, model.ComputedTokenCount);
        Assert.True(31 <= 0.15 * 1000);

        // The same prompt again: only its last token, for its logits.
        Assert.Equal(1079, run.Finish(second, maxTokens: 1).Usage.CachedPromptTokens);
        Assert.Equal(computed + 32, model.ComputedTokenCount);
    }

    [Fact]
    public void Eight_that_come_at_once_compute_their_common_beginning_once()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model);
        int[] system = Tokens(600, 0);
        PacedSink[] sinks = [.. Enumerable.Range(0, 8).Select(i => run.Start([.. system, .. Tokens(40, 5000 + (100 * i))], maxTokens: 5))];
        run.Until(() => Array.TrueForAll(sinks, sink => sink.HasEnded));
        Assert.Equal(7 * 600, sinks.Sum(sink => sink.Usage.CachedPromptTokens));

        // Once 600, eight times 40, and of each answer all but the last token.
        Assert.Equal(600 + (8 * 40) + (8 * 4), model.ComputedTokenCount);
    }

    [Fact]
    public void Of_another_scope_nothing_is_found()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model);
        run.Finish(Tokens(100, 0), maxTokens: 1, scope: "one");
        Assert.Equal(0, run.Finish(Tokens(100, 0), maxTokens: 1, scope: "two").Usage.CachedPromptTokens);
        Assert.Equal(99, run.Finish(Tokens(100, 0), maxTokens: 1, scope: "one").Usage.CachedPromptTokens);
        Assert.Equal(201, model.ComputedTokenCount);
    }

    [Fact]
    public void Further_choices_compute_one_token_of_the_prompt()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model);
        PacedSink sink = run.Finish(Tokens(77, 0), maxTokens: 3, choices: 20);
        Assert.Equal(0, sink.Usage.CachedPromptTokens);
        Assert.Equal(77 + 19 + (20 * 2), model.ComputedTokenCount);
    }

    [Fact]
    public async Task Who_waits_for_a_prompt_that_is_cancelled_computes_the_rest_of_it()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        using var engine = new InferenceEngine(model, new EngineOptions());
        var leader = new CollectingSink();
        var follower = new CollectingSink();
        EngineGeneration? first = null;
        model.OnStep = step =>
        {
            if (step == 1)
            {
                engine.TrySubmit(Request(Tokens(640, 0), 2), follower);
                SpinWait.SpinUntil(() => Volatile.Read(ref first) != null);
            }
            else if (step == 2)
            {
                first!.Cancel();
            }
        };
        first = engine.TrySubmit(Request(Tokens(640, 0), 2), leader);
        Assert.Equal("cancelled", await leader.Ended);
        Assert.Equal("completed", await follower.Ended);
        Assert.Equal(512, follower.Usage.CachedPromptTokens);
        Assert.Equal(640 + 1, model.ComputedTokenCount);
    }

    [Fact]
    public void A_choice_that_gave_its_blocks_away_finds_what_is_left_of_them()
    {
        // Ten blocks; the two need seven each in the end.
        using var model = new WorkModel(s_tokenizer.Value, kvTokenCapacity: 320);
        var run = new Run(model);
        PacedSink one = run.Start(Tokens(100, 0), maxTokens: 110);
        PacedSink two = run.Start(Tokens(100, 5000), maxTokens: 110);
        run.Until(() => one.HasEnded && two.HasEnded);
        Assert.Equal((110, 110), (one.Usage.CompletionTokens, two.Usage.CompletionTokens));
        Assert.Equal(0, two.Usage.CachedPromptTokens);

        // It gave way with five blocks, when the other needed its sixth; two of them were taken for that one's sixth and seventh.
        Assert.InRange(model.ComputedTokenCount, (2 * 209) + 1, (2 * 209) + 64 + 31);
    }

    [Fact]
    public async Task A_suspended_answer_goes_on_without_computing_what_it_had()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        using var engine = new InferenceEngine(model, new EngineOptions());
        GenerationRequest request = Request(Tokens(640, 0), 20);
        var (first, rest) = (new CollectingSink(), new CollectingSink());
        EngineGeneration? running = null;
        GenerationProgress? progress = null;
        model.OnStep = step =>
        {
            if (step == 8)
            {
                SpinWait.SpinUntil(() => Volatile.Read(ref running) != null);
                running!.Suspend();
                progress = running.TrySnapshot(() => 0)!.Value.Progress;
            }
        };
        running = engine.TrySubmit(request, first);
        Assert.Equal("suspended", await first.Ended);

        // Three steps of the prompt, and five of an answer; the snapshot lacks the token of the last.
        Assert.Equal(5, progress!.Choices[0].Tokens.Count);
        Assert.NotNull(engine.TrySubmit(request with { From = progress }, rest));
        Assert.Equal("completed", await rest.Ended);
        Assert.Equal(0, rest.Usage.CachedPromptTokens);
        Assert.Equal(20, rest.Usage.CompletionTokens);

        // All of it once, but for the token that is computed again for its logits.
        Assert.Equal(640 + 19 + 1, model.ComputedTokenCount);
    }

    private static int[] Tokens(int count, int first) => [.. Enumerable.Range(first, count)];

    private static GenerationRequest Request(int[] tokens, int maxTokens) =>
        new() { PromptTokens = tokens, MaxTokens = maxTokens, Sampling = new SamplingParameters { Temperature = 0 } };

    private sealed class Run(WorkModel model)
    {
        private const int StepsMax = 100_000;

        private readonly EngineLoop _loop = new(
            model, new EngineOptions(), new Lazy<TokenTrie>(() => throw new InvalidOperationException("No grammar is asked for.")),
            model.Clock, new GenerationQueue(EngineLimits.QueueCapacity));

        public PacedSink Start(int[] tokens, int maxTokens, int choices = 1, string scope = "")
        {
            var sink = new PacedSink(model.Clock);
            _loop.Accept(new EngineGeneration(null!, Request(tokens, maxTokens) with { ChoiceCount = choices, Scope = scope }, sink, model.Description.ContextLength));
            return sink;
        }

        public PacedSink Score(int[] tokens)
        {
            var sink = new PacedSink(model.Clock);
            GenerationRequest request = Request([.. tokens.Select(static token => token % WorkModel.VocabularySize)], maxTokens: 0) with
            {
                Echo = [new PromptText(new byte[tokens.Length], [.. Enumerable.Range(1, tokens.Length)])],
                Sampling = new SamplingParameters { TopLogprobs = 1 },
            };
            _loop.Accept(new EngineGeneration(null!, request, sink, model.Description.ContextLength));
            return sink;
        }

        public PacedSink Finish(int[] tokens, int maxTokens, int choices = 1, string scope = "")
        {
            PacedSink sink = Start(tokens, maxTokens, choices, scope);
            Until(() => sink.HasEnded);
            return sink;
        }

        public void Until(Func<bool> condition)
        {
            for (int i = 0; i < StepsMax; i++)
            {
                if (condition())
                {
                    return;
                }

                Assert.True(_loop.Step(), "The loop had nothing to do.");
            }

            Assert.Fail("The loop went on for too long.");
        }
    }

    private sealed class PacedSink(ManualTimeProvider clock) : IGenerationSink
    {
        private long _last;

        public int TextCount { get; private set; }

        /// <summary>Milliseconds between two texts.</summary>
        public double LargestGap { get; private set; }

        public bool HasEnded { get; private set; }

        public GenerationUsage Usage { get; private set; }

        public void Forget() => LargestGap = 0;

        public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
        {
            long now = clock.GetTimestamp();
            if (TextCount++ > 0)
            {
                LargestGap = Math.Max(LargestGap, clock.GetElapsedTime(_last, now).TotalMilliseconds);
            }

            _last = now;
        }

        public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => throw new NotSupportedException();

        public void OnToolCall(int choiceIndex, int callIndex, string tool) => throw new NotSupportedException();

        public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => throw new NotSupportedException();

        public void OnFinished(int choiceIndex, FinishReason reason) => Assert.Equal(FinishReason.Length, reason);

        public void OnCompleted(GenerationUsage usage) => (Usage, HasEnded) = (usage, true);

        public void OnCancelled(GenerationUsage usage) => (Usage, HasEnded) = (usage, true);

        public void OnSuspended(GenerationProgress progress, GenerationUsage usage) => throw new NotSupportedException();

        public void OnFailed(Exception error) => throw new InvalidOperationException("The engine failed.", error);
    }
}
