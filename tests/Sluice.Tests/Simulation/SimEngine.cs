using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams;

namespace Sluice.Tests.Simulation;

/// <summary>
/// The hub's own engine in a simulation: a script in the place of model and scheduler, behind the hub's own protocol and sink. What it says
/// next follows
/// from the story, the seed and what it has said, so that an answer that was continued is known too.
/// </summary>
internal sealed class SimEngine(SimWorld world, SimNode node, LocalModel model, RandomSource random, TimeProvider time)
    : SuspendableUpstream(model.Id, random, time)
{
    /// <summary>Within it the engine hears that it is to stop.</summary>
    public static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);

    /// <summary>Between two pieces, and to the first one, with room to spare.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(25);

    protected override async Task<(ISuspendable? Work, ApiError? Error)> TrySubmitAsync(
        Attempt attempt, LocalRequest request, AnswerSnapshot frame, CancellationToken stop)
    {
        world.Scheduler.CheckThread();
        if (node.IsDead) await new TaskCompletionSource().Task;
        var story = world.StoryOf(Encoding.UTF8.GetString(attempt.Body.Span));
        var number = story.EngineCallCount++;
        var act = number < story.Acts.Count ? story.Acts[number] : UpstreamAct.Answers;
        var call = new SimCall(world, node, story, act) { IsSuspendable = attempt.Production is not null };
        world.Scheduler.Note((long)frame.EventCount);
        world.Count(attempt.From is null ? "engine asked" : "engine continues");
        world.Begin(call);
        try
        {
            // The model is loaded, and the prompt is read.
            await world.DelayAsync(world.Random.Next(4) == 0 ? 800 : 30, stop);
            if (node.IsDead) await new TaskCompletionSource().Task;
            if (act == UpstreamAct.Refuses) return (null, ApiErrors.RateLimited(TimeSpan.FromSeconds(1)));
            if (act == UpstreamAct.Unreachable) return (null, ApiErrors.Unavailable());
            if (attempt.Record.Hold is { } hold && !hold.TryReserve(5, story.ChoiceCount))
            {
                world.End(call);
                return (null, LimitErrors.Exhausted(hold.Cut));
            }
            return (new Generation(attempt, request.Chat!, frame, call), null);
        }
        finally
        {
            if (act is UpstreamAct.Refuses or UpstreamAct.Unreachable || stop.IsCancellationRequested) world.End(call);
        }
    }

    // What the engine has of one answer. A token is a piece of a choice; with tools the call itself is the first one.
    private sealed class Generation : ISuspendable
    {
        private readonly SimWorld _world;
        private readonly SimNode _node;
        private readonly SimCall _call;
        private readonly Attempt _attempt;
        private readonly AnswerSnapshot _frame;
        private readonly LocalGenerationSink _sink;
        private readonly CancellationTokenSource _told = new();
        private readonly int[] _saidCounts;
        private readonly bool[] _finished;
        private readonly int _number;
        private bool _isSuspended;
        private bool _isCancelled;
        private bool _hasEnded;

        public Generation(Attempt attempt, ChatCompletionRequest request, AnswerSnapshot frame, SimCall call)
        {
            (_world, _node, _call, _attempt, _frame) = (call.World, call.Node, call, attempt, frame);
            _sink = new LocalGenerationSink(attempt, request, frame, new Lease(), NullLogger.Instance);
            _number = Story.CallOf(frame.Seed);
            (_saidCounts, _finished) = (new int[Story.ChoiceCount], new bool[Story.ChoiceCount]);
            if (frame.Progress is { } progress) Replay(progress);
            _world.Scheduler.Post(() => _ = RunAsync());
        }

        private Story Story => _call.Story;

        private GenerationUsage Usage => new(5, 0, _saidCounts.Sum(count => int.Max(0, count - FirstPiece)));

        private int FirstPiece => Story.HasTools ? 1 : 0;

        private GenerationProgress Progress => new("sim", (ulong)Story.Number, [.. _saidCounts.Select((count, choice) => new ChoiceProgress
        {
            Tokens = [.. Enumerable.Range(0, count)],
            OutputDigest = DigestOf(choice, count),
            Finish = _finished[choice] ? FinishReason.Stop : null,
            ReachedPromptTokens = choice == 0 ? 5 : 0,
        })]);

        public void Suspend()
        {
            (_isSuspended, _call.IsTold) = (true, true);
            _told.Cancel();
        }

        public void Cancel()
        {
            (_isCancelled, _call.IsTold) = (true, true);
            _told.Cancel();
        }

        public AnswerSnapshot? TrySnapshot() =>
            _hasEnded ? null : _frame with { Progress = Progress, EventCount = _attempt.Generation.Log.EventCount };

        private async Task RunAsync()
        {
            var isBurst = _world.Random.Next(6) == 0;
            while (true)
            {
                if (!isBurst)
                {
                    var wait = _world.Random.Next(60) == 0 ? 20_000 : _world.Random.Next(6) == 0 ? 1000 : 20;
                    await _world.DelayAsync(wait, _told.Token).ConfigureAwait(Waits.Quietly);
                    if (_told.IsCancellationRequested) await _world.DelayAsync((int)Step.TotalMilliseconds);
                }
                if (_node.IsDead) return;
                if (_isCancelled || _isSuspended)
                {
                    Stop();
                    return;
                }
                if (!Say()) return;
            }
        }

        private void Stop()
        {
            _hasEnded = true;
            _world.End(_call);
            _world.Count(_isCancelled ? "engine cancelled" : "engine suspended");
            if (_isCancelled) _sink.OnCancelled(Usage);
            else _sink.OnSuspended(Progress, Usage);
        }

        // False when all is said.
        private bool Say()
        {
            var open = Enumerable.Range(0, _finished.Length).Where(choice => !_finished[choice]).ToArray();
            var choice = open[_world.Random.Next(open.Length)];
            var index = _saidCounts[choice] - FirstPiece;
            _call.NotePiece();
            if (index == Story.PieceCount)
            {
                _finished[choice] = true;
                _sink.OnFinished(choice, Story.HasTools ? FinishReason.ToolCalls : FinishReason.Stop);
                if (open.Length > 1) return true;
                _hasEnded = true;
                _world.End(_call);
                _sink.OnCompleted(Usage);
                return false;
            }
            // The first token of each choice was taken before; the call of a tool is none of its own.
            if (index > 0 && _attempt.Record.Hold is { } hold && !hold.TryTake()) return Exhaust(open);
            _saidCounts[choice]++;
            if (index < 0) _sink.OnToolCall(choice, 0, "f");
            else if (Story.HasTools) _sink.OnToolArguments(choice, 0, Bytes(choice, index));
            else _sink.OnText(choice, Bytes(choice, index), []);
            return true;
        }

        private bool Exhaust(int[] open)
        {
            _world.Count("engine cut");
            (_hasEnded, _call.IsTold) = (true, true);
            foreach (var choice in open) _sink.OnFinished(choice, FinishReason.Exhausted);
            _world.End(_call);
            _sink.OnCompleted(Usage);
            return false;
        }

        private void Replay(GenerationProgress progress)
        {
            if (progress.PromptDigest != (ulong)Story.Number)
                _world.Violate($"I13: story {Story.Number} is continued from the progress of {progress.PromptDigest}");
            for (var choice = 0; choice < progress.Choices.Count; choice++)
            {
                var known = progress.Choices[choice];
                (_saidCounts[choice], _finished[choice]) = (known.Tokens.Count, known.Finish is not null);
                if (known.OutputDigest != DigestOf(choice, known.Tokens.Count))
                    _world.Violate($"I13: story {Story.Number} is continued from what it has not said");
                if (Story.HasTools && known.Tokens.Count > 0) _sink.OnReplayedToolCall(choice, 0, "f");
            }
        }

        private byte[] Bytes(int choice, int index) => Encoding.UTF8.GetBytes(Story.Piece(_number, choice, index));

        private ulong DigestOf(int choice, int count)
        {
            var digest = 17UL;
            for (var index = 0; index < count - FirstPiece; index++)
                foreach (var value in Bytes(choice, index)) digest = (digest ^ value) * 1099511628211;
            return digest;
        }

        private sealed class Lease : IDisposable
        {
            public void Dispose()
            {
            }
        }
    }
}
