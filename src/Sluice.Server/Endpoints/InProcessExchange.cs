using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Sluice.Server.Endpoints;

/// <summary>One request and its response within the process. What a server does for a connection is done here for the two ends of a pipe.</summary>
#pragma warning disable CA1001 // Its two ends go at times of their own, and a source of cancellation without a timer or a handle holds nothing.
internal sealed class InProcessExchange : IHttpResponseFeature, IHttpResponseBodyFeature, IHttpRequestLifetimeFeature
{
#pragma warning restore CA1001
    private readonly HttpRequestMessage _request;
    private readonly DefaultHttpContext _context;
    private readonly TaskCompletionSource<HttpResponseMessage> _response = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _aborted = new();
    private readonly Stack<(Func<object, Task> Callback, object State)> _onStarting = [];
    private readonly Stack<(Func<object, Task> Callback, object State)> _onCompleted = [];
    private readonly Pipe _body = new();
    private Stream? _stream;

    public InProcessExchange(HttpRequestMessage request, IServiceProvider services)
    {
        _request = request;
        Writer = new StartingWriter(_body.Writer, () => StartAsync(CancellationToken.None));
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(new HttpRequestFeature());
        features.Set<IHttpResponseFeature>(this);
        features.Set<IHttpResponseBodyFeature>(this);
        features.Set<IHttpRequestLifetimeFeature>(this);
        _context = new DefaultHttpContext(features) { RequestServices = services };
    }

    public int StatusCode { get; set; } = StatusCodes.Status200OK;

    public string? ReasonPhrase { get; set; }

    public IHeaderDictionary Headers { get; set; } = new HeaderDictionary();

    public bool HasStarted { get; private set; }

    public PipeWriter Writer { get; }

    Stream IHttpResponseBodyFeature.Stream => _stream ??= Writer.AsStream();

    Stream IHttpResponseFeature.Body
    {
        get => ((IHttpResponseBodyFeature)this).Stream;
        set => throw new NotSupportedException("The body of a response within the process can't be replaced.");
    }

    public CancellationToken RequestAborted
    {
        get => _aborted.Token;
        set => throw new NotSupportedException("A request within the process is aborted by its client.");
    }

    /// <summary>The response, when its headers are known; its body comes as it is written.</summary>
    /// <param name="application">Answers.</param>
    /// <param name="cancellation">The client has left.</param>
    public async Task<HttpResponseMessage> RunAsync(RequestDelegate application, CancellationToken cancellation)
    {
        await ReadRequestAsync(cancellation);
        await using var leaves = cancellation.UnsafeRegister(static state => ((InProcessExchange)state!).Abort(), this);
        // On another thread: the client's may be one that must not wait.
        _ = Task.Run(() => AnswerAsync(application), CancellationToken.None);
        return await _response.Task.WaitAsync(cancellation);
    }

    public void OnStarting(Func<object, Task> callback, object state) => _onStarting.Push((callback, state));

    public void OnCompleted(Func<object, Task> callback, object state) => _onCompleted.Push((callback, state));

    public void DisableBuffering()
    {
    }

    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        if (HasStarted) return;
        while (_onStarting.TryPop(out var starting)) await starting.Callback(starting.State);
        HasStarted = true;
        _response.TrySetResult(CreateResponse());
    }

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
        SendFileFallback.SendFileAsync(((IHttpResponseBodyFeature)this).Stream, path, offset, count, cancellationToken);

    public async Task CompleteAsync()
    {
        await StartAsync();
        await _body.Writer.CompleteAsync();
    }

    public void Abort()
    {
        _aborted.Cancel();
        // A client that takes nothing may never read again; whoever writes must not wait for it.
        _body.Writer.CancelPendingFlush();
    }

    private async Task ReadRequestAsync(CancellationToken cancellation)
    {
        var uri = _request.RequestUri ?? throw new InvalidOperationException("The request has no address; set HttpClient.BaseAddress, such as http://localhost/v1/.");
        var request = _context.Request;
        (request.Method, request.Scheme, request.Protocol) = (_request.Method.Method, "http", HttpProtocol.Http11);
        (request.Path, request.QueryString) = (PathString.FromUriComponent(uri), QueryString.FromUriComponent(uri));
        foreach (var (name, values) in _request.Headers) request.Headers[name] = new StringValues([.. values]);
        request.Headers.Host = "localhost";
        if (_request.Content is not { } content) return;
        request.Body = await content.ReadAsStreamAsync(cancellation);
        // Known only now, to some kinds of content.
        _ = content.Headers.ContentLength;
        foreach (var (name, values) in content.Headers) request.Headers[name] = new StringValues([.. values]);
    }

#pragma warning disable CA1031 // Whatever went wrong breaks the body off, as it would break a connection.
    private async Task AnswerAsync(RequestDelegate application)
    {
        Exception? fault = null;
        try
        {
            await application(_context);
            if (!RequestAborted.IsCancellationRequested) await StartAsync();
        }
        catch (Exception exception)
        {
            fault = exception;
        }
        if (fault is null && RequestAborted.IsCancellationRequested) fault = new HttpIOException(HttpRequestError.ResponseEnded, "The hub broke the response off.");
        await _body.Writer.CompleteAsync(fault);
        if (fault is not null) _response.TrySetException(fault is HttpIOException ? fault : new HttpRequestException(HttpRequestError.Unknown, "The hub didn't answer.", fault));
        while (_onCompleted.TryPop(out var completed)) await completed.Callback(completed.State);
    }
#pragma warning restore CA1031

    private HttpResponseMessage CreateResponse()
    {
        var content = new StreamContent(new ResponseStream(_body.Reader, this));
        var response = new HttpResponseMessage((HttpStatusCode)StatusCode) { Content = content, RequestMessage = _request, Version = HttpVersion.Version11 };
        foreach (var (name, values) in Headers)
        {
            if (!response.Headers.TryAddWithoutValidation(name, values.AsEnumerable())) content.Headers.TryAddWithoutValidation(name, values.AsEnumerable());
        }
        return response;
    }

    // Headers are out with the first flush.
    private sealed class StartingWriter(PipeWriter body, Func<Task> start) : PipeWriter
    {
        public override bool CanGetUnflushedBytes => true;

        public override long UnflushedBytes => body.UnflushedBytes;

        public override void Advance(int bytes) => body.Advance(bytes);

        public override Memory<byte> GetMemory(int sizeHint = 0) => body.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => body.GetSpan(sizeHint);

        public override void CancelPendingFlush() => body.CancelPendingFlush();

        public override void Complete(Exception? exception = null)
        {
            // The exchange completes it, when the application is done.
        }

        public override async ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
        {
            await start();
            return await body.FlushAsync(cancellationToken);
        }
    }

    // Whoever closes it before the end has left.
    private sealed class ResponseStream(PipeReader reader, InProcessExchange exchange) : Stream
    {
        private readonly Stream _stream = reader.AsStream();
        private bool _isDisposed;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => _stream.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            _stream.ReadAsync(buffer, cancellationToken);

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            _stream.ReadAsync(buffer, offset, count, cancellationToken);

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_isDisposed)
            {
                _isDisposed = true;
                exchange.Abort();
                _stream.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
