using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Sluice.Testing;

namespace Sluice.Tests.Simulation;

/// <summary>
/// The upstreams of a simulation, in place of their connections: each call finds its story in the request and does what that has for it.
/// </summary>
internal sealed class SimUpstream(SimWorld world, SimNode node) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        world.Scheduler.CheckThread();
        if (node.IsDead) await new TaskCompletionSource().Task;
        var body = Encoding.UTF8.GetString(await request.Content!.ReadAsByteArrayAsync(CancellationToken.None));
        var story = world.StoryOf(body);
        var number = story.CallCount++;
        var act = number < story.Acts.Count ? story.Acts[number] : UpstreamAct.Answers;
        var call = new SimCall(world, node, story, act);
        world.Scheduler.Note((long)act);
        world.Count($"upstream {act}");
        world.Begin(call);
        try
        {
            await world.DelayAsync(world.Random.Next(4) == 0 ? 3000 : 30, cancellationToken);
            switch (act)
            {
                case UpstreamAct.Unreachable:
                    throw new HttpRequestException("Nobody listens.");
                case UpstreamAct.Silent:
                    await Task.Delay(Timeout.InfiniteTimeSpan, world.Clock, cancellationToken);
                    break;
                case UpstreamAct.Refuses:
                    var refusal = Reply((HttpStatusCode)(world.Random.Next(4) switch { 0 => 500, 1 => 503, 2 => 400, _ => 429 }), "application/json", new MemoryStream("""{"error":{"message":"No.","type":"e","code":null}}"""u8.ToArray()));
                    if (world.Random.Next(2) == 0) refusal.Headers.RetryAfter = new RetryConditionHeaderValue(TimeSpan.FromSeconds(world.Random.Next(1, 20)));
                    world.End(call);
                    return refusal;
                case UpstreamAct.AnswersJson:
                    world.End(call);
                    return Reply(HttpStatusCode.OK, "application/json", new MemoryStream("""{"error":{"message":"Broken.","type":"e","code":null}}"""u8.ToArray()));
            }
            return Reply(HttpStatusCode.OK, "text/event-stream", new AnswerStream(world, call, [.. story.Frames(number, body.Contains("include_usage\":true", StringComparison.Ordinal))]));
        }
        catch
        {
            world.End(call);
            throw;
        }
    }

    private static HttpResponseMessage Reply(HttpStatusCode status, string type, Stream body)
    {
        var response = new HttpResponseMessage(status) { Content = new StreamContent(body) };
        response.Content.Headers.ContentType = new MediaTypeHeaderValue(type);
        return response;
    }

    // What the story says, piece by piece: the next comes when its time has come, whether anybody reads or not.
    private sealed class AnswerStream : ReadOnlyStream
    {
        private readonly SimWorld _world;
        private readonly SimCall _call;
        private readonly IReadOnlyList<string> _frames;
        private readonly MemoryStream _ready = new();
        private TaskCompletionSource? _waiting;
        private BodyEnd _end;
        private bool _isClosed;
        private TimeSpan? _readySince;

        public AnswerStream(SimWorld world, SimCall call, IReadOnlyList<string> frames)
        {
            (_world, _call, _frames) = (world, call, frames);
            _ = PlayAsync();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _world.Scheduler.CheckThread();
            if (_readySince is { } since) _call.Held += _world.Clock.Elapsed - since;
            _readySince = null;
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (_call.Node.IsDead) await new TaskCompletionSource().Task;
                if (_ready.Length > 0)
                {
                    var bytes = _ready.ToArray();
                    var count = int.Min(buffer.Length, _world.Random.Next(3) == 0 ? _world.Random.Next(1, bytes.Length + 1) : bytes.Length);
                    bytes.AsMemory(0, count).CopyTo(buffer);
                    _ready.SetLength(0);
                    _ready.Write(bytes, count, bytes.Length - count);
                    return count;
                }
                if (_end == BodyEnd.Clean) return 0;
                if (_end == BodyEnd.Broken) throw new IOException("The connection was reset.");
                _waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                await using var left = cancellationToken.UnsafeRegister(static state => ((TaskCompletionSource)state!).TrySetResult(), _waiting);
                await _waiting.Task;
            }
        }

        // The base class goes on wherever the read has ended.
        public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
        {
            var buffer = new byte[4096];
            while (await ReadAsync(buffer, cancellationToken) is > 0 and var count) destination.Write(buffer, 0, count);
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            _isClosed = true;
            _world.End(_call);
            base.Dispose(disposing);
        }

        private async Task PlayAsync()
        {
            var act = _call.Act;
            var isBurst = _world.Random.Next(4) == 0;
            var stopsAt = act is >= UpstreamAct.Breaks and <= UpstreamAct.Leaves ? _world.Random.Next(_frames.Count) : act == UpstreamAct.Lingers ? _call.Story.FinishedAt : _frames.Count;
            for (var i = 0; i < stopsAt && !_isClosed; i++)
            {
                if (!isBurst) await _world.DelayAsync(_world.Random.Next(60) == 0 ? 20_000 : _world.Random.Next(6) == 0 ? 1000 : 20);
                if (_world.Random.Next(30) == 0) Say(": ping\n\n");
                Say($"data: {_frames[i]}\n\n");
            }
            if (!isBurst && !_isClosed) await _world.DelayAsync(20);
            if (_isClosed) return;
            switch (act)
            {
                case UpstreamAct.Breaks:
                    if (_world.Random.Next(2) == 0) Say($"data: {_frames[stopsAt][..(_frames[stopsAt].Length / 2)]}");
                    Finish(BodyEnd.Broken);
                    break;
                case UpstreamAct.Stalls or UpstreamAct.Lingers:
                    _world.NoteSilent(_call);
                    break;
                case UpstreamAct.Fails:
                    Say("data: {\"error\":{\"message\":\"Overloaded.\",\"type\":\"server_error\",\"code\":503}}\n\n");
                    Finish(BodyEnd.Clean);
                    break;
                case UpstreamAct.Babbles:
                    Say("data: {\"choices\":[{\"ind\n\n");
                    Finish(BodyEnd.Clean);
                    break;
                case UpstreamAct.Leaves or UpstreamAct.ForgetsDone:
                    Finish(BodyEnd.Clean);
                    break;
                default:
                    Say("data: [DONE]\n\n");
                    Finish(BodyEnd.Clean);
                    break;
            }
        }

        private void Say(string text)
        {
            _ready.Write(Encoding.UTF8.GetBytes(text));
            if (_waiting is { Task.IsCompleted: false }) _waiting.TrySetResult();
            else _readySince ??= _world.Clock.Elapsed;
        }

        private void Finish(BodyEnd end)
        {
            _end = end;
            // Nobody generates any more, even if nobody has read it all.
            _world.EndWork(_call);
            _waiting?.TrySetResult();
        }
    }
}

/// <summary>One call of an upstream.</summary>
internal sealed class SimCall(SimWorld world, SimNode node, Story story, UpstreamAct act)
{
    public override string ToString() => $"{act} of {story.Model} since {Began}, suspendable: {IsSuspendable}, working: {IsWorking}";

    public SimWorld World => world;

    /// <summary>Who asks.</summary>
    public SimNode Node => node;

    public Story Story => story;

    public UpstreamAct Act => act;

    public TimeSpan Began { get; } = world.Clock.Elapsed;

    /// <summary>See <see cref="SimClock.Lag"/>.</summary>
    public TimeSpan LagBefore { get; } = world.Clock.Lag;

    /// <summary>Whether it generates.</summary>
    public bool IsWorking { get; set; } = true;

    /// <summary>Whether it is the hub's own engine, and its answer can be suspended.</summary>
    public bool IsSuspendable { get; init; }

    /// <summary>Whether the engine has heard that it is to stop, and does with its next step.</summary>
    public bool IsTold { get; set; }

    /// <summary>Pieces that the engine has made since the last reader left, as far as that is known.</summary>
    public int PiecesAlone { get; private set; }

    private int _connectionCount;

    /// <summary>The engine makes a piece.</summary>
    public void NotePiece()
    {
        // Whoever came meanwhile may have left again.
        var isRead = story.Connections.Any(static connection => !connection.IsGone) || story.Connections.Count != _connectionCount;
        (PiecesAlone, _connectionCount) = (isRead ? 0 : PiecesAlone + 1, story.Connections.Count);
    }

    /// <summary>Whether it has said all that it will ever say, without an end.</summary>
    public bool IsSilent { get; set; }

    /// <summary>How long what it had said was not read, in all.</summary>
    public TimeSpan Held { get; set; }
}
