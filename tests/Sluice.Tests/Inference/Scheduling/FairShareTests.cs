using Sluice.Inference.Grammars;
using Sluice.Inference.Sampling;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Tokenization;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>Who gets the slots and the places in the queue, counted in steps.</summary>
public sealed class FairShareTests
{
    private const int SlotCount = 4;
    private const int Long = 1000;

    private static readonly Lazy<Tokenizer> s_tokenizer = new(static () =>
    {
        using var tiny = TinyModelFile.Load("llama");
        return tiny.Model.Tokenizer;
    });

    [Fact]
    public void A_caller_that_comes_while_another_holds_16_slots_and_a_queue_has_8_tokens_in_9_steps()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model, EngineLimits.SlotCount);
        CountingSink[] busy = [.. Enumerable.Range(0, 60).Select(i => run.Start("busy", Long, first: 100 * i))];
        run.Step(30);
        Assert.Equal(16, busy.Count(static sink => sink.TextCount > 0));

        CountingSink other = run.Start("other", 8, first: 20_000);
        int steps = run.Until(() => other.HasEnded);
        Assert.InRange(steps, 8, 9);

        // The slot goes back to the one that lost it, before those that have never had one.
        int[] before = [.. busy.Select(static sink => sink.TextCount)];
        run.Step(2);
        Assert.Equal(16, busy.Where((sink, i) => sink.TextCount > before[i]).Count());
        Assert.Equal(16, busy.Count(static sink => sink.TextCount > 0));
    }

    [Fact]
    public void A_caller_that_comes_while_another_asks_for_128_choices_has_8_tokens_in_9_steps()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model, EngineLimits.SlotCount);
        CountingSink many = run.Start("busy", 40, choices: 128);
        run.Step(10);
        Assert.Equal(16, many.Choices.Count);

        CountingSink other = run.Start("other", 8, first: 20_000);
        Assert.InRange(run.Until(() => other.HasEnded), 8, 9);
        run.Until(() => many.HasEnded);
        Assert.Equal(Enumerable.Range(0, 128), many.Finished.Order());
        Assert.Equal(128 * 40, many.Usage.CompletionTokens);

        // The slot that was taken back costs nothing: its blocks were still there.
        Assert.Equal(10 + 127 + (128 * 39) + 10 + 7, model.ComputedTokenCount);
    }

    [Fact]
    public void A_free_slot_goes_to_the_caller_with_the_fewest_and_then_to_the_oldest_generation()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model, SlotCount);
        CountingSink[] busy = [.. Enumerable.Range(0, 8).Select(i => run.Start("busy", i == 0 ? 10 : Long, first: 100 * i))];
        run.Step(4);
        CountingSink[] other = [.. Enumerable.Range(0, 4).Select(i => run.Start("other", Long, first: 20_000 + (100 * i)))];

        // The other's first one takes a slot back, from the busy one's youngest, and its second one gets the slot that becomes free.
        run.Step(1);
        Assert.Equal([1, 0, 0, 0], other.Select(static sink => sink.TextCount));
        run.Until(() => busy[0].HasEnded);
        Assert.Equal(0, other[1].TextCount);
        run.Step(1);
        Assert.Equal([1, 0, 0], other[1..].Select(static sink => sink.TextCount));

        // Two and two: nothing changes any more. Whose generation is older comes first.
        run.Step(50);
        Assert.Equal([0, 1, 1, 0, 0, 0, 0, 0], busy.Select(static sink => sink.TextCount > 20 ? 1 : 0));
        Assert.Equal([1, 1, 0, 0], other.Select(static sink => sink.TextCount > 0 ? 1 : 0));
    }

    [Fact]
    public void Callers_with_one_slot_each_take_nothing_from_each_other()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model, SlotCount);
        CountingSink[] first = [.. Enumerable.Range(0, SlotCount).Select(i => run.Start($"caller {i}", 20 + i, first: 100 * i))];
        run.Step(2);
        CountingSink[] later = [.. Enumerable.Range(0, 2).Select(i => run.Start($"later {i}", 5, first: 20_000 + (100 * i)))];
        run.Until(() => first[0].HasEnded);
        Assert.All(later, static sink => Assert.Equal(0, sink.TextCount));
        Assert.Equal([20, 20, 20, 20], first.Select(static sink => sink.TextCount));
        run.Until(() => later[1].HasEnded);
        Assert.True(later[0].HasEnded);
    }

    [Fact]
    public void A_caller_alone_gets_every_slot()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var run = new Run(model, SlotCount);
        CountingSink[] sinks = [.. Enumerable.Range(0, 3).Select(i => run.Start("alone", 20, first: 100 * i, choices: 2))];
        run.Step(6);

        // When the slots were given out, the second choices still waited for the first ones to read the prompts.
        Assert.Equal([2, 1, 1], sinks.Select(static sink => sink.Choices.Count));
        run.Until(() => Array.TrueForAll(sinks, static sink => sink.HasEnded));
        Assert.All(sinks, static sink => Assert.Equal(40, sink.Usage.CompletionTokens));
    }

    [Fact]
    public void A_caller_without_a_slot_gets_memory_too()
    {
        // Twenty blocks: four sequences of five.
        using var model = new WorkModel(s_tokenizer.Value, kvTokenCapacity: 640);
        var run = new Run(model, slotCount: 8);
        CountingSink[] busy = [.. Enumerable.Range(0, 4).Select(i => run.Start("busy", 60, first: 1000 * i, length: 100))];
        run.Until(() => Array.TrueForAll(busy, static sink => sink.TextCount > 10));
        CountingSink other = run.Start("other", 8, first: 20_000, length: 100);
        Assert.InRange(run.Until(() => other.HasEnded), 8, 10);
        run.Until(() => Array.TrueForAll(busy, static sink => sink.HasEnded));
        Assert.All(busy, static sink => Assert.Equal(60, sink.Usage.CompletionTokens));
    }

    [Theory]
    [InlineData(1, 1 << 15)]
    [InlineData(2, 1 << 15)]
    [InlineData(5, 1 << 15)]
    [InlineData(5, 480)]
    [InlineData(16, 256)]
    public void The_tokens_are_the_same_whoever_gets_the_slots_and_the_memory(int slotCount, int kvTokenCapacity)
    {
        using var free = new NoiseModel(1 << 15, memory: DrawnRequests.ShortMemory);
        using var model = new NoiseModel(kvTokenCapacity, memory: DrawnRequests.ShortMemory);
        GenerationRequest[] requests = [.. Enumerable.Range(0, 10).Select(i => new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, 20 + (7 * i)).Select(k => (k * (i + 3)) % 256)],
            MaxTokens = i % 3 == 0 ? 120 : 25,
            ChoiceCount = i % 4 == 0 ? 6 : 1,
            Scope = $"request {i}",
            Sampling = new SamplingParameters { Temperature = 1, Seed = (ulong)i, TopLogprobs = i == 2 ? 2 : null },
        })];
        string[] alone = [.. requests.Select(request => Answers(free, 16, [request])[0])];
        foreach (int callers in (int[])[1, 3, 10])
        {
            // Of a prompt that a caller has in the cache already, the usage tells; what it generates is the same.
            GenerationRequest[] shared = [.. requests.Select((request, i) =>
                request with { Scope = $"{slotCount}/{callers}: {i % callers}" })];
            Assert.Equal(alone, Answers(model, slotCount, shared));
        }
    }

    [Fact]
    public void A_full_queue_takes_the_place_of_the_callers_latest_with_the_most()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var queue = new GenerationQueue(4);
        EngineGeneration[] busy = [.. Enumerable.Range(0, 4).Select(i => Generation(model, "busy"))];
        Assert.All(busy, generation => Assert.True(queue.TryAdd(generation)));
        Assert.False(queue.TryAdd(Generation(model, "busy")));

        EngineGeneration[] other = [.. Enumerable.Range(0, 3).Select(i => Generation(model, "other"))];
        Assert.True(queue.TryAdd(other[0]));
        Assert.True(queue.TryAdd(other[1]));
        Assert.Equal([false, false, true, true], busy.Select(static generation => generation.IsRefused));

        // Two and two; then a third caller has nobody to displace but one of two.
        Assert.False(queue.TryAdd(other[2]));
        Assert.True(queue.TryAdd(Generation(model, "third")));
        Assert.True(other[1].IsRefused);
        Assert.False(queue.TryAdd(Generation(model, "third")));
        Assert.Equal(4, queue.Count);

        Assert.False(queue.TryStart(busy[3]));
        Assert.True(queue.TryStart(busy[0]));
        Assert.False(busy[0].IsRefused);
        Assert.Equal(3, queue.Count);
    }

    [Fact]
    public void What_resumes_an_answer_keeps_its_place()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var queue = new GenerationQueue(2);
        Assert.True(queue.TryAdd(Generation(model, "busy")));
        EngineGeneration resumed = Generation(model, "busy", new GenerationProgress("work", 0, []));
        Assert.True(queue.TryAdd(resumed));
        Assert.True(queue.TryAdd(Generation(model, "other")));
        Assert.False(resumed.IsRefused);
        Assert.False(queue.TryAdd(Generation(model, "third")));
    }

    [Fact]
    public async Task Who_is_displaced_fails_with_the_time_to_come_again_and_has_delivered_nothing()
    {
        using var model = new WorkModel(s_tokenizer.Value);
        var step = new SemaphoreSlim(0);
        using var reached = new SemaphoreSlim(0);
        model.OnStep = _ =>
        {
            reached.Release();
            step.Wait();
        };
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 1, QueueCapacity = 2 });
        var running = new CollectingSink();
        Assert.NotNull(engine.TrySubmit(Request("busy", 3, 0), running));
        await reached.WaitAsync(TestContext.Current.CancellationToken);
        CollectingSink[] waiting = [new(), new()];
        Assert.All(waiting, sink => Assert.NotNull(engine.TrySubmit(Request("busy", 3, 500), sink)));
        Assert.Null(engine.TrySubmit(Request("busy", 3, 500), new CollectingSink()));
        var other = new CollectingSink();
        Assert.NotNull(engine.TrySubmit(Request("other", 3, 700), other));
        Assert.Equal(2, engine.QueuedCount);
        step.Release(1000);
        Assert.Equal(new GenerationDisplacedException(default).Message, await waiting[1].Ended);
        Assert.Equal("", waiting[1].Text());
        Assert.Equal(["completed", "completed", "completed"], await Task.WhenAll(running.Ended, waiting[0].Ended, other.Ended));
        Assert.Equal(0, engine.QueuedCount);
    }

    private static string[] Answers(NoiseModel model, int slotCount, GenerationRequest[] requests)
    {
        string[] answers = LoopRun.Run(model, new EngineOptions { SlotCount = slotCount }, requests).Answers;
        return [.. answers.Select(static answer => answer[..answer.LastIndexOf("GenerationUsage", StringComparison.Ordinal)])];
    }

    private static EngineGeneration Generation(WorkModel model, string scope, GenerationProgress? from = null) =>
        new(null!, Request(scope, 5, 0) with { From = from }, new CollectingSink(), model.Description.ContextLength);

    private static GenerationRequest Request(string scope, int maxTokens, int first, int length = 10) => new()
    {
        PromptTokens = [.. Enumerable.Range(first, length)],
        MaxTokens = maxTokens,
        Scope = scope,
        Sampling = new SamplingParameters { Temperature = 0 },
    };

    private sealed class Run(WorkModel model, int slotCount)
    {
        private const int StepsMax = 100_000;

        private readonly EngineLoop _loop = new(
            model, new EngineOptions { SlotCount = slotCount },
            new Lazy<TokenTrie>(() => throw new InvalidOperationException("No grammar is asked for.")),
            model.Clock, new GenerationQueue(EngineLimits.QueueCapacity));

        public CountingSink Start(string scope, int maxTokens, int first = 0, int choices = 1, int length = 10)
        {
            var sink = new CountingSink();
            GenerationRequest request = Request(scope, maxTokens, first, length) with { ChoiceCount = choices };
            _loop.Accept(new EngineGeneration(null!, request, sink, model.Description.ContextLength));
            return sink;
        }

        public void Step(int count)
        {
            for (int i = 0; i < count; i++)
            {
                Assert.True(_loop.Step(), "The loop had nothing to do.");
            }
        }

        public int Until(Func<bool> condition)
        {
            int steps = 0;
            while (!condition())
            {
                Assert.True(steps++ < StepsMax, "The loop went on for too long.");
                Step(1);
            }

            return steps;
        }
    }

    private sealed class CountingSink : IGenerationSink
    {
        public int TextCount { get; private set; }

        /// <summary>Those that have said something.</summary>
        public HashSet<int> Choices { get; } = [];

        public List<int> Finished { get; } = [];

        public bool HasEnded { get; private set; }

        public GenerationUsage Usage { get; private set; }

        public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
        {
            TextCount++;
            Choices.Add(choiceIndex);
        }

        public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => throw new NotSupportedException();

        public void OnToolCall(int choiceIndex, int callIndex, string tool) => throw new NotSupportedException();

        public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => throw new NotSupportedException();

        public void OnFinished(int choiceIndex, FinishReason reason) => Finished.Add(choiceIndex);

        public void OnCompleted(GenerationUsage usage) => (Usage, HasEnded) = (usage, true);

        public void OnCancelled(GenerationUsage usage) => throw new NotSupportedException();

        public void OnSuspended(GenerationProgress progress, GenerationUsage usage) => throw new NotSupportedException();

        public void OnFailed(Exception error) => throw new InvalidOperationException("The engine failed.", error);
    }
}
