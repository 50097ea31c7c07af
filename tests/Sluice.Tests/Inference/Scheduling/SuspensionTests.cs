using Sluice.Inference.Scheduling;
using Sluice.Inference.Sampling;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>An answer in stretches is, piece by piece, the one that nothing interrupted: everything but the model's arithmetic.</summary>
public sealed class SuspensionTests
{
    /// <summary>With a model that repeats itself and rows that cost nothing, most of an answer is guessed.</summary>
    public static TheoryData<string, bool> Kinds
    {
        get
        {
            var kinds = new TheoryData<string, bool>();
            foreach (string kind in DrawnRequests.Kinds)
            {
                kinds.Add(kind, false);
                kinds.Add(kind, true);
            }

            return kinds;
        }
    }

    private static GenerationRequest Draw(InferenceEngine engine, string kind, Random random) => DrawnRequests.Draw(engine, kind, random);

    private static NoiseModel Model(string kind, int tokenCapacity = 1 << 16, bool repeats = false) =>
        new(tokenCapacity, DrawnRequests.TemplateOf(kind), memory: repeats ? DrawnRequests.ShortMemory : int.MaxValue);

    // Some right and some wrong: both kinds of rows were there to be cut between.
    private static void AssertGuesses(InferenceEngine engine, bool repeats)
    {
        if (repeats)
        {
            Assert.InRange(engine.AcceptedTokenCount, 1, engine.DraftedTokenCount - 1);
        }
    }

    // Whether the step took a guess before it came to the last of these tokens, and would have taken the one that is this last token.
    private static bool IsCutBetweenGuesses(NoiseModel model, int[] tokens) =>
        model.LastStep.Any(run => tokens.Length >= run.KnownCount + 2 && run.Tokens.AsSpan().StartsWith(tokens));

    private static TimeProvider Clock(bool standsStill) => standsStill ? new ManualTimeProvider() : TimeProvider.System;

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Suspended_after_any_steps_it_goes_on_as_if_nothing_had_been(string kind, bool repeats)
    {
        using var model = Model(kind, repeats: repeats);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 2 }, Clock(repeats));
        for (int seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            GenerationRequest request = Draw(engine, kind, random);
            string whole = await SuspendedRun.RunAsync(engine, step => model.Computed = step, request);
            int[] stretches = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => random.Next(0, 40))];
            string parts = await SuspendedRun.RunAsync(engine, step => model.Computed = step, request, stretches);
            Assert.True(whole == parts, $"seed {seed}, {kind}, stretches {string.Join(' ', stretches)}:\n{whole}\n---\n{parts}");
        }

        AssertGuesses(engine, repeats);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Suspended_after_each_single_step(string kind, bool repeats)
    {
        using var model = Model(kind, repeats: repeats);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 4 }, Clock(repeats));
        GenerationRequest request = Draw(engine, kind, new Random(1)) with { MaxTokens = 60, ChoiceCount = 2, StopSequences = ["zz"] };
        request = request with { Sampling = request.Sampling with { TopLogprobs = kind == "text" ? 2 : null } };
        string whole = await SuspendedRun.RunAsync(engine, step => model.Computed = step, request);
        for (int steps = 0; steps < 70; steps++)
        {
            string parts = await SuspendedRun.RunAsync(engine, step => model.Computed = step, request, steps);
            Assert.True(whole == parts, $"{steps} steps:\n{whole}\n---\n{parts}");
        }

        string always = await SuspendedRun.RunAsync(engine, step => model.Computed = step, request, [.. Enumerable.Repeat(40, 20)]);
        Assert.Equal(whole, always);
        AssertGuesses(engine, repeats);
    }

    // A guess that is right behind one that suspends is not taken up.
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Suspended_within_a_step_it_goes_on_with_the_next_token(string kind, bool repeats)
    {
        using var model = Model(kind, repeats: repeats);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 4 }, Clock(repeats));
        int cutCount = 0;
        for (int seed = 0; seed < 10; seed++)
        {
            cutCount += await CountCutsAsync(model, engine, Draw(engine, kind, new Random(seed)) with { MaxTokens = 90, ChoiceCount = 2, StopSequences = [] });
        }

        AssertGuesses(engine, repeats);
        Assert.True(cutCount > 0 || !repeats, "No stop fell between two guesses of a step that were both right.");
    }

    // Stops behind every first, second, ... piece, and counts the stops between two guesses of a step that were both right.
    private static async Task<int> CountCutsAsync(NoiseModel model, InferenceEngine engine, GenerationRequest request)
    {
        string whole = await SuspendedRun.RunAsync(engine, step => model.Computed = step, request);
        int cutCount = 0;
        for (int pieceCount = 1; pieceCount < 20; pieceCount++)
        {
            var pieces = new List<string>();
            GenerationProgress? from = null;
            SuspendedRun sink;
            do
            {
                EngineGeneration? running = null;
                int count = 0;
                sink = SuspendedRun.Into(pieces, () =>
                {
                    SpinWait.SpinUntil(() => Volatile.Read(ref running) != null);
                    if (++count == pieceCount)
                    {
                        running!.Suspend();
                    }
                });
                Volatile.Write(ref running, engine.TrySubmit(request with { Scope = $"{request.Sampling.Seed} {pieceCount}", From = from }, sink)!);
                from = await sink.Ended == "suspended" ? SuspendedRun.Stored(sink.Progress) : null;
                if (from != null && IsCutBetweenGuesses(model, [.. request.PromptTokens, .. from.Choices[pieces[^1][0] - '0'].Tokens]))
                {
                    cutCount++;
                }
            }
            while (from != null);

            Assert.True(sink.IsWhole);
            Assert.Equal(whole, SuspendedRun.Format(pieces, 2, sink.Usage));
        }

        return cutCount;
    }

    // What a store does: it looks at any time, and goes on from what it saw last.
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task From_a_snapshot_of_any_moment_the_rest_is_the_same(string kind, bool repeats)
    {
        using var model = Model(kind, repeats: repeats);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 4 }, Clock(repeats));
        GenerationRequest request = Draw(engine, kind, new Random(2)) with { MaxTokens = 80, ChoiceCount = 2, StopSequences = [] };
        var pieces = new List<string>();
        var snapshots = new List<(GenerationProgress Progress, long Mark)>();
        var sink = SuspendedRun.Into(pieces);
        EngineGeneration running = engine.TrySubmit(request, sink)!;
        while (!sink.Ended.IsCompleted)
        {
            if (running.TrySnapshot(() => pieces.Count) is { } snapshot && (snapshots.Count == 0 || snapshots[^1].Mark != snapshot.Mark))
            {
                snapshots.Add(snapshot);
            }
        }

        Assert.Equal("completed", await sink.Ended);
        Assert.Null(running.TrySnapshot(() => 0));
        foreach ((GenerationProgress progress, long mark) in snapshots)
        {
            var rest = new List<string>();
            var again = SuspendedRun.Into(rest);
            engine.TrySubmit(request with { From = SuspendedRun.Stored(progress) }, again);
            Assert.Equal("completed", await again.Ended);
            Assert.Equal(SuspendedRun.Format(pieces, 2, default), SuspendedRun.Format([.. pieces.Take((int)mark), .. rest], 2, default));
        }

        AssertGuesses(engine, repeats);
    }

    [Fact]
    public async Task Among_others_that_take_its_blocks_away_it_is_the_same_too()
    {
        using var free = Model("text");
        using var alone = new InferenceEngine(free, new EngineOptions());
        using var small = Model("text", tokenCapacity: 352);
        using var crowded = new InferenceEngine(small, new EngineOptions { SlotCount = 4 });
        GenerationRequest[] requests = [.. Enumerable.Range(0, 4).Select(seed => Draw(alone, "text", new Random(seed)) with { MaxTokens = 90, ChoiceCount = 1, StopSequences = [] })];
        await Task.WhenAll(requests.Select(async (request, index) =>
        {
            string whole = await SuspendedRun.RunAsync(alone, _ => { }, request with { Sampling = request.Sampling with { LogitBias = null } });
            request = request with { Sampling = request.Sampling with { LogitBias = null } };
            var pieces = new List<string>();
            while (true)
            {
                EngineGeneration? running = null;
                int count = 0;
                var sink = SuspendedRun.Into(pieces, () =>
                {
                    SpinWait.SpinUntil(() => Volatile.Read(ref running) != null);
                    if (++count == 7 + index)
                    {
                        running!.Suspend();
                    }
                });
                Volatile.Write(ref running, crowded.TrySubmit(request, sink)!);
                string how = await sink.Ended;
                if (how != "suspended")
                {
                    Assert.Equal("completed", how);
                    Assert.Equal(whole[..whole.LastIndexOf('\n')], SuspendedRun.Format(pieces, 1, default)[..whole.LastIndexOf('\n')]);
                    return;
                }

                request = request with { From = sink.Progress };
            }
        }));
        Assert.Equal(0, crowded.ActiveCount);
    }

    [Fact]
    public async Task A_cancel_at_the_same_time_gives_one_end()
    {
        using var model = Model("text");
        using var engine = new InferenceEngine(model, new EngineOptions());
        GenerationRequest request = Draw(engine, "text", new Random(3)) with { MaxTokens = 4000, StopSequences = [] };
        for (int i = 0; i < 200; i++)
        {
            var sink = SuspendedRun.Into([]);
            EngineGeneration running = engine.TrySubmit(request, sink)!;
            Parallel.Invoke(running.Cancel, running.Suspend);
            Assert.Contains(await sink.Ended, (string[])["cancelled", "suspended"]);
        }

        Assert.Equal((0, 0), (engine.ActiveCount, engine.QueuedCount));
    }

    [Fact]
    public async Task What_waits_for_a_slot_is_suspended_without_one()
    {
        using var model = Model("text");
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 1 });
        GenerationRequest endless = Draw(engine, "text", new Random(3)) with { MaxTokens = 8000, ChoiceCount = 1, StopSequences = [] };
        endless = endless with { Sampling = new SamplingParameters { LogitBias = new Dictionary<int, float> { [257] = -1000 } } };
        EngineGeneration first = engine.TrySubmit(endless, SuspendedRun.Into([]))!;
        var sink = SuspendedRun.Into([]);
        engine.TrySubmit(endless, sink)!.Suspend();
        Assert.Equal("suspended", await sink.Ended);
        Assert.Empty(sink.Progress.Choices[0].Tokens);
        first.Cancel();
    }

    [Fact]
    public async Task Another_model_another_prompt_or_other_tokens_are_noticed()
    {
        using var model = Model("text");
        using var engine = new InferenceEngine(model, new EngineOptions());
        GenerationRequest request = Draw(engine, "text", new Random(5)) with { MaxTokens = 4000, ChoiceCount = 1, StopSequences = [] };
        request = request with { Sampling = request.Sampling with { TopLogprobs = null, LogitBias = new Dictionary<int, float> { [257] = -1000 } } };
        EngineGeneration? running = null;
        var pieces = new List<string>();
        var sink = SuspendedRun.Into(pieces, () =>
        {
            SpinWait.SpinUntil(() => Volatile.Read(ref running) != null);
            if (pieces.Count == 20)
            {
                running!.Suspend();
            }
        });
        Volatile.Write(ref running, engine.TrySubmit(request, sink)!);
        Assert.Equal("suspended", await sink.Ended);
        GenerationProgress progress = sink.Progress;
        ChoiceProgress choice = progress.Choices[0];
        Assert.True(choice.Tokens.Count >= 20);

        using var otherModel = new NoiseModel(1 << 16, identity: "other");
        using var other = new InferenceEngine(otherModel, new EngineOptions());
        Assert.Throws<GenerationDivergedException>(() => other.TrySubmit(request with { From = progress }, SuspendedRun.Into([])));
        Assert.Throws<GenerationDivergedException>(() => engine.TrySubmit(request with { From = progress, PromptTokens = [.. request.PromptTokens, 65] }, SuspendedRun.Into([])));
        Assert.Throws<GenerationDivergedException>(() => engine.TrySubmit(request with { From = progress, ChoiceCount = 2 }, SuspendedRun.Into([])));
        for (int i = 0; i < choice.Tokens.Count; i++)
        {
            foreach (int token in (int[])[choice.Tokens[i] == 'x' ? 'y' : 'x', 999_999])
            {
                // Bytes that are no character look alike.
                if (token < 256 && choice.Tokens[i] is < 32 or > 126)
                {
                    continue;
                }

                int[] tokens = [.. choice.Tokens];
                tokens[i] = token;
                GenerationProgress wrong = progress with { Choices = [choice with { Tokens = tokens }] };
                Assert.Throws<GenerationDivergedException>(() => engine.TrySubmit(request with { From = wrong }, SuspendedRun.Into([])));
            }
        }

        Assert.Equal((0, 0), (engine.ActiveCount, engine.QueuedCount));
    }
}
