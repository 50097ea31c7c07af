using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Sluice.Tests.Simulation;

/// <summary>How a read of a body went.</summary>
internal enum BodyEnd
{
    /// <summary>There are bytes.</summary>
    None,

    /// <summary>The body came to its end.</summary>
    Clean,

    /// <summary>The connection broke.</summary>
    Broken,
}

/// <summary>
/// One request and its response over a pipe in place of a socket: the server's features on one side, a client on the other. As with Kestrel
/// an abort
/// cancels the request on another turn, writes after it go nowhere, and what the client has not read may be lost.
/// </summary>
internal sealed class SimConnection : IHttpRequestLifetimeFeature, IHttpResponseFeature, IHttpResponseBodyFeature, IRequestBodyPipeFeature
{
    private readonly SimWorld _world;
    private readonly CancellationTokenSource _aborted = new();
    private readonly Pipe _pipe;
    private readonly List<(Func<object, Task> Callback, object State)> _onStarting = [];
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Writer _writer;
    private bool _isBroken;
    private bool _isLost;
    private bool _isEnded;

    public SimConnection(SimWorld world, string method, string target, byte[] body, params (string Name, string Value)[] headers)
    {
        _world = world;
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var request = new HttpRequestFeature
        {
            Method = method,
            Protocol = "HTTP/1.1",
            Scheme = "http",
            Path = question < 0 ? target : target[..question],
            QueryString = question < 0 ? "" : target[question..],
            Body = new MemoryStream(body),
        };
        request.Headers.Host = "localhost";
        if (body.Length > 0) request.Headers.ContentType = "application/json";
        request.Headers.ContentLength = body.Length;
        foreach (var (name, value) in headers) request.Headers[name] = value;
        _pipe = new Pipe(new PipeOptions(
            pauseWriterThreshold: world.PipeBytes, resumeWriterThreshold: world.PipeBytes / 2, minimumSegmentSize: 512,
            readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, useSynchronizationContext: true));
        _writer = new Writer(this);
        Reader = PipeReader.Create(new System.Buffers.ReadOnlySequence<byte>(body));
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(request);
        features.Set<IHttpResponseFeature>(this);
        features.Set<IHttpResponseBodyFeature>(this);
        features.Set<IHttpRequestLifetimeFeature>(this);
        features.Set<IRequestBodyPipeFeature>(this);
        Context = new DefaultHttpContext(features);
    }

    public DefaultHttpContext Context { get; }

    /// <summary>What it asks for; null for anything else.</summary>
    public Story? Story { get; init; }

    /// <summary>Where it is answered; null before.</summary>
    public SimNode? Node { get; set; }

    /// <summary>Whether the server knows that nobody is there any more.</summary>
    public bool IsGone => !IsOpen || (Node is not null && _aborted.IsCancellationRequested);

    public void Dispose() => _aborted.Dispose();

    public override string ToString() => $"{Context.Request.Method} {Context.Request.Path}{Context.Request.QueryString}, started: {HasStarted}, broken: {_isBroken}, dropped: {IsDropped}";

    /// <summary>Completes with status and headers, or when the connection has broken before them.</summary>
    public Task Started => _started.Task;

    /// <summary>Whether the server still works for it.</summary>
    public bool IsOpen { get; private set; } = true;

    /// <summary>When the server's work for it was over; zero before.</summary>
    public TimeSpan ClosedAt { get; private set; }

    /// <summary>Whether the client has left.</summary>
    public bool IsDropped { get; private set; }

    /// <summary>Bytes that the server has handed over and the client has not read.</summary>
    public long UnreadBytes { get; private set; }

    public int StatusCode { get; set; } = 200;

    public string? ReasonPhrase { get; set; }

    public IHeaderDictionary Headers { get; set; } = new HeaderDictionary();

    public Stream Body { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public bool HasStarted { get; private set; }

    public Stream Stream => throw new NotSupportedException();

    PipeWriter IHttpResponseBodyFeature.Writer => _writer;

    public PipeReader Reader { get; }

    public CancellationToken RequestAborted { get => _aborted.Token; set => throw new NotSupportedException(); }

    private bool IsOver => IsDropped || _isBroken || _isEnded;

    /// <summary>Lets the server answer.</summary>
    public async Task ServeAsync(RequestDelegate server)
    {
        try
        {
            await server(Context);
        }
#pragma warning disable CA1031 // Nothing may come out of the server.
        catch (Exception error)
#pragma warning restore CA1031
        {
            if (Node is not { IsDead: true }) _world.Violate($"the server threw {error}");
        }
        (IsOpen, ClosedAt) = (false, _world.Clock.Elapsed);
        if (IsOver) return;
        Start();
        _isEnded = true;
        await _pipe.Writer.CompleteAsync();
    }

    /// <summary>The server breaks the connection.</summary>
    public void Abort()
    {
        if (IsOver) return;
        _isBroken = true;
        _isLost = _world.Random.Next(3) == 0;
        _world.Scheduler.Post(_aborted.Cancel);
        _started.TrySetResult();
        _pipe.Reader.CancelPendingRead();
        _pipe.Writer.CancelPendingFlush();
    }

    /// <summary>The server is gone.</summary>
    public void Sever()
    {
        (IsOpen, ClosedAt) = (false, _world.Clock.Elapsed);
        if (IsOver) return;
        _isBroken = true;
        _isLost = _world.Random.Next(3) == 0;
        _started.TrySetResult();
        _pipe.Reader.CancelPendingRead();
    }

    /// <summary>The client leaves; the server learns it on another turn.</summary>
    public void Drop()
    {
        if (IsDropped) return;
        IsDropped = true;
        _started.TrySetResult();
        if (!_isEnded && !_isBroken)
        {
            _world.Scheduler.Post(() =>
            {
                _aborted.Cancel();
                _pipe.Reader.Complete();
            });
        }
    }

    /// <summary>The client's next bytes.</summary>
    public async Task<(byte[] Bytes, BodyEnd End)> ReadAsync(int bytesMax)
    {
        while (true)
        {
            if (_isBroken && _isLost) return ([], BodyEnd.Broken);
            if (!_pipe.Reader.TryRead(out var result))
            {
                if (_isBroken) return ([], BodyEnd.Broken);
                result = await _pipe.Reader.ReadAsync();
            }
            var part = result.Buffer.Slice(0, long.Min(bytesMax, result.Buffer.Length));
            var bytes = System.Buffers.BuffersExtensions.ToArray(part);
            _pipe.Reader.AdvanceTo(part.End);
            UnreadBytes -= bytes.Length;
            if (bytes.Length > 0) return (bytes, BodyEnd.None);
            if (result.IsCompleted) return ([], BodyEnd.Clean);
        }
    }

    /// <summary>The rest of a body that is no stream.</summary>
    public async Task<(string Text, BodyEnd End)> ReadToEndAsync()
    {
        var text = new MemoryStream();
        while (true)
        {
            var (bytes, end) = await ReadAsync(int.MaxValue);
            text.Write(bytes);
            if (end != BodyEnd.None) return (Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length), end);
        }
    }

    public void OnStarting(Func<object, Task> callback, object state) => _onStarting.Add((callback, state));

    public void OnCompleted(Func<object, Task> callback, object state)
    {
    }

    public Task CompleteAsync() => Task.CompletedTask;

    public void DisableBuffering()
    {
    }

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task StartAsync(CancellationToken cancellationToken = default)
    {
        Start();
        return Task.CompletedTask;
    }

    private void Start()
    {
        if (HasStarted) return;
        foreach (var (callback, state) in _onStarting) _ = callback(state);
        HasStarted = true;
        if (Story is not null && Headers.TryGetValue("Sluice-Stream-Id", out var id) && StatusCode == 200)
            _world.Ledger.Start(id.ToString(), Story, Headers["Sluice-Stream-Attempt"].ToString());
        _started.TrySetResult();
    }

    private sealed class Writer(SimConnection connection) : PipeWriter
    {
        private readonly PipeWriter _inner = connection._pipe.Writer;

        public override bool CanGetUnflushedBytes => true;

        public override long UnflushedBytes => _inner.UnflushedBytes;

        public override void Advance(int bytes)
        {
            if (!connection.IsOver) connection.UnreadBytes += bytes;
            _inner.Advance(bytes);
        }

        public override Memory<byte> GetMemory(int sizeHint = 0) => _inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => _inner.GetSpan(sizeHint);

        public override void CancelPendingFlush() => _inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null)
        {
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
        {
            connection._world.Scheduler.CheckThread();
            cancellationToken.ThrowIfCancellationRequested();
            if (connection._isBroken || connection.IsDropped) return new(new FlushResult(false, true));
            connection.Start();
            return connection._world.Random.Next(8) == 0 ? FlushLaterAsync(cancellationToken) : _inner.FlushAsync(cancellationToken);
        }

        private async ValueTask<FlushResult> FlushLaterAsync(CancellationToken cancellationToken)
        {
            await Task.Yield();
            return await _inner.FlushAsync(cancellationToken);
        }
    }
}
