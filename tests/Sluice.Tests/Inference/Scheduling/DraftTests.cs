using FsCheck;
using FsCheck.Fluent;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Sampling;
using Sluice.Inference.Tokenization;
using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>What is guessed, and when it is worth its rows, on a model that takes time on a manual clock.</summary>
public sealed class DraftTests
{
    private const int Rows = 8;

    private static readonly Lazy<Tokenizer> s_tokenizer = new(static () =>
    {
        using var tiny = TinyModelFile.Load("llama");
        return tiny.Model.Tokenizer;
    });

    [Fact]
    public void A_text_that_repeats_itself_takes_an_eighth_of_the_steps_and_computes_nothing_in_vain()
    {
        using var model = new WorkModel(s_tokenizer.Value) { StepMilliseconds = 10, TokenMilliseconds = 0.01, DraftedRows = Rows };
        LoopRun run = Run(model, Chat(100, maxTokens: 200));
        Assert.InRange(model.StepCount, 200 / Rows, (200 / Rows) + 12);
        Assert.Equal(100 + 199, model.ComputedTokenCount);
        Assert.Equal(run.DraftedCount, run.AcceptedCount);
    }

    // Rows of this engine's own shape on two cores, where four cost half as much again as one; rows that cost as much as steps; rows that cost
    // nothing. With 64 letters some pairs come again, with 8 there is a match for every token; what follows is right once in as many.
    [Theory]
    [InlineData(3.8, 0.7, 64)]
    [InlineData(3.8, 0.7, 8)]
    [InlineData(0.5, 4, 64)]
    [InlineData(0.5, 4, 8)]
    [InlineData(10, 0.01, 64)]
    [InlineData(10, 0.01, 8)]
    public void A_text_without_repetition_takes_hardly_longer(double step, double token, int letters)
    {
        var random = new Random(letters);
        int[] text = [.. Enumerable.Range(0, 2100).Select(_ => 'A' + random.Next(letters))];
        double[] times = [.. ((int[])[Rows, 0]).Select(rows =>
        {
            using var model = new WorkModel(s_tokenizer.Value)
            {
                StepMilliseconds = step,
                TokenMilliseconds = token,
                DraftedRows = rows,
                Says = (_, position) => text[position],
            };
            DateTimeOffset start = model.Clock.GetUtcNow();
            Run(model, Chat(50, maxTokens: 2000));
            return (model.Clock.GetUtcNow() - start).TotalMilliseconds;
        })];
        Assert.InRange(times[0] / times[1], 0.5, 1.02);
    }

    [Fact]
    public void A_chat_that_repeats_itself_makes_no_other_wait()
    {
        using var model = new WorkModel(s_tokenizer.Value) { StepMilliseconds = 10, TokenMilliseconds = 1.5, DraftedRows = Rows, Says = Mixed };
        LoopRun run = Run(model, Chat(100, maxTokens: 100), Chat(100, maxTokens: 100, first: 150));
        Assert.Equal(0, run.DraftedCount);

        // Where both gain, both are guessed for.
        LoopRun both = Run(model, Chat(60, maxTokens: 100), Chat(61, maxTokens: 100));
        Assert.InRange(both.AcceptedCount, 50, 200);
    }

    [Fact]
    public void Beside_a_prompt_and_in_a_full_batch_nothing_is_guessed()
    {
        using var model = new WorkModel(s_tokenizer.Value) { StepMilliseconds = 10, TokenMilliseconds = 0.01, DraftedRows = Rows };
        Assert.Equal(0, Run(model, [.. Enumerable.Range(0, Rows).Select(i => Chat(50, maxTokens: 50))]).DraftedCount);

        // Both prompts are read in one step, but for what is left of the longer one: one token of each chat a step.
        GenerationRequest chat = Chat(50, maxTokens: 6);
        Assert.Equal(0, Run(model, chat, Chat(256 * 5, maxTokens: 1, first: 20)).DraftedCount);
        Assert.True(Run(model, chat with { MaxTokens = 50 }).DraftedCount > 0);
    }

    [Fact]
    public void For_guesses_no_block_is_taken_that_is_kept_for_others()
    {
        // Three blocks: one is kept, and the answer ends within the second while it is guessed to go on into a third.
        using var model = new WorkModel(s_tokenizer.Value, kvTokenCapacity: 96)
        {
            StepMilliseconds = 10,
            DraftedRows = Rows,
            Says = static (_, position) => position < 60 ? WorkModel.Letter : 257,
        };
        GenerationRequest kept = Chat(31, maxTokens: 1) with { Scope = "kept" };
        Run(model, kept);
        Assert.InRange(Run(model, Chat(40, maxTokens: 200)).DraftedCount, 10, 60);
        Assert.Contains("CachedPromptTokens = 30,", Run(model, kept).Answers[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Switched_off_nothing_is_guessed()
    {
        using var model = new WorkModel(s_tokenizer.Value) { StepMilliseconds = 10, DraftedRows = Rows };
        Assert.Equal(0, LoopRun.Run(model, new EngineOptions { DraftTokensMax = 0 }, [Chat(50, maxTokens: 50)], model.Clock).DraftedCount);
        Assert.Equal(50, model.StepCount);
        Assert.Throws<ArgumentOutOfRangeException>(() => new InferenceEngine(model, new EngineOptions { DraftTokensMax = -1 }));
    }

    [Fact]
    public void The_place_that_is_found_has_most_in_common_with_the_end_and_is_the_latest_of_equals() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(2000),
        Prop.ForAll(Gen.Choose(0, 1_000_000).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            int letters = random.Next(1, 6);
            int[] tokens = [.. Enumerable.Range(0, random.Next(0, 60)).Select(_ => random.Next(letters))];
            (int expected, int longest) = (-1, 0);
            for (int end = 1; end < tokens.Length; end++)
            {
                int common = 0;
                while (common < end && common < PromptLookup.MatchMax && tokens[end - 1 - common] == tokens[^(common + 1)])
                {
                    common++;
                }

                if (common >= Math.Max(PromptLookup.MatchMin, longest))
                {
                    (expected, longest) = (end, common);
                }
            }

            Assert.Equal(expected, PromptLookup.Find(tokens, out int match));
            Assert.Equal(longest, match);
        }));

    [Fact]
    public void A_text_that_runs_in_circles_is_guessed_to_go_on_so()
    {
        var drafts = new ChoiceDrafts();
        drafts.Propose([1, 2, 3, 1, 2, 3, 1, 2], 7);
        Assert.Equal([3, 1, 2, 3, 1, 2, 3], drafts.Tokens);
        Assert.All(drafts.Likelihoods.Zip(drafts.Likelihoods.Skip(1)), static pair => Assert.True(pair.First > pair.Second));
        drafts.Propose([1, 2, 3, 4, 5], 7);
        Assert.Empty(drafts.Tokens);
        drafts.Propose([1, 2, 1, 2, 1, 2], 0);
        Assert.Empty(drafts.Tokens);
    }

    [Fact]
    public void What_came_true_raises_the_next_guess_and_what_did_not_lowers_it()
    {
        var drafts = new ChoiceDrafts();
        List<int> text = [1, 2, 3, 4, 9, 1, 2];
        drafts.Propose(text, 3);
        double before = drafts.Likelihoods[0];
        text.Add(3);
        drafts.Learn(text, 7);
        text = [1, 2, 3, 4, 9, 1, 2];
        drafts.Propose(text, 3);
        Assert.True(drafts.Likelihoods[0] > before);
        before = drafts.Likelihoods[0];
        text.Add(8);
        drafts.Learn(text, 7);
        text = [1, 2, 3, 4, 9, 1, 2];
        drafts.Propose(text, 3);
        Assert.True(drafts.Likelihoods[0] < before);
    }

    [Fact]
    public void The_cost_of_rows_is_learnt_and_one_slow_step_says_little()
    {
        var cost = new RowCost(16);
        double one = cost.Estimate(1);
        Assert.All(Enumerable.Range(1, 15), rows => Assert.True(cost.Estimate(rows + 1) > cost.Estimate(rows)));
        for (int i = 0; i < 30; i++)
        {
            cost.Learn(5, 1);
            cost.Learn(6, 4);
        }

        Assert.Equal(5, cost.Estimate(1), 0.01);
        Assert.Equal(6, cost.Estimate(4), 0.01);
        Assert.InRange(cost.Estimate(3), 5, 6);
        cost.Learn(1000, 1);
        Assert.InRange(cost.Estimate(1), 5, 6.1);

        // What was measured long ago is forgotten, for else nobody would try again.
        for (int i = 0; i < 300; i++)
        {
            cost.Learn(10, 1);
        }

        Assert.True(cost.Estimate(4) > 10);
        Assert.True(one > 0);
        cost.Learn(5, 17);
    }

    [Fact]
    public void Guessing_allocates_nothing()
    {
        var drafts = new ChoiceDrafts();
        List<ChoiceDrafts> choices = [drafts];
        var cost = new RowCost(Rows);
        List<int> text = [.. Enumerable.Range(0, 2000).Select(static i => i % 50)];
        text.EnsureCapacity(text.Count + 1);
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            for (int i = 0; i < 200; i++)
            {
                drafts.Propose(text, Rows - 1);
                DraftShare.Plan(choices, cost, Rows);
                cost.Learn(5, drafts.Count + 1);
                drafts.Learn(text, 1950);
            }
        }));
        Assert.True(drafts.Count > 0);
    }

    // Behind a high token come other high ones, none twice within 120 positions; behind a low one the letter for ever.
    private static int Mixed(int token, int position) => token >= 130 ? 130 + ((position * 31) % 120) : WorkModel.Letter;

    private static LoopRun Run(WorkModel model, params GenerationRequest[] requests) => LoopRun.Run(model, new EngineOptions(), requests, model.Clock);

    private static GenerationRequest Chat(int promptTokens, int maxTokens, int first = 0) => new()
    {
        PromptTokens = [.. Enumerable.Range(first, promptTokens).Select(static token => token % 250)],
        MaxTokens = maxTokens,
        Sampling = new SamplingParameters { Temperature = 0 },
    };
}
