using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Upstreams;
using Sluice.Testing;
using Sluice.Tests.Server.Endpoints;
using Xunit;

namespace Sluice.Tests.Server.Routing;

/// <summary>
/// The work of a relayed stream, counted at both edges of a whole hub: reads of the upstream's body, and writes and flushes of the client's. Each of
/// them is a system call over a network, and those are most of what a hub costs.
/// </summary>
public sealed class RelayBudgetTests
{
    private const int ReadCount = 50;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task What_one_read_of_an_upstream_brings_leaves_with_one_flush_and_one_copy(int eventsPerRead)
    {
        using var patience = new CancellationTokenSource(s_patience);
        var upstream = new CountedUpstream();
        var clients = new CountedClients();
        await using var hub = await UpstreamHub.StartAsync("  - id: m\n    upstreams: [{url: \"http://upstream.test/v1\"}]\n", services: services =>
        {
            services.AddSingleton<UpstreamTransport>((_, _, _, _) => new HandlerClient(upstream));
            services.AddSingleton<IStartupFilter>(clients);
        });
        upstream.Say(ScriptedUpstream.Role(), ScriptedUpstream.Text("first"));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), patience.Token);
        await using var body = await response.Content.ReadAsStreamAsync(patience.Token);
        var received = new List<byte>();
        await ReceiveAsync("first");
        var client = Assert.Single(clients.Writers);
        // What comes before content is held back until there is some: it leaves with the first.
        var (reads, writes, flushes) = (upstream.ReadCount, client.WriteCount, client.FlushCount);

        for (var i = 0; i < ReadCount; i++)
        {
            upstream.Say([.. Enumerable.Range(0, eventsPerRead).Select(n => ScriptedUpstream.Text($"[{i}.{n}]"))]);
            await ReceiveAsync($"[{i}.{eventsPerRead - 1}]");
        }

        Assert.Equal(ReadCount, upstream.ReadCount - reads);
        // One flush for a read, however many events it brought: more would be more system calls, fewer would mean that one waited for the next.
        Assert.Equal(ReadCount, client.FlushCount - flushes);
        // Events that lie side by side in the log go out as one part, and never in more parts than there are events; a part may have to be cut where a buffer of Kestrel's ends.
        Assert.InRange(client.WriteCount - writes, ReadCount, ReadCount * 1.2);
        Assert.Equal(received.Count, client.ByteCount);

        upstream.Say(ScriptedUpstream.Finish(), "[DONE]");
        await ReceiveAsync("[DONE]\n\n");
        Assert.Equal(received.Count, client.ByteCount);

        async Task ReceiveAsync(string text)
        {
            var (sought, buffer) = (Encoding.UTF8.GetBytes(text), new byte[4096]);
            do
            {
                var count = await body.ReadAsync(buffer, patience.Token);
                Assert.NotEqual(0, count);
                received.AddRange(buffer.AsSpan(0, count));
            }
            while (System.Runtime.InteropServices.CollectionsMarshal.AsSpan(received).IndexOf(sought) < 0 || received[^2] != '\n' || received[^1] != '\n');
        }
    }

    /// <summary>An upstream whose body gives exactly what was said at a time.</summary>
    private sealed class CountedUpstream : HttpMessageHandler
    {
        private readonly Channel<byte[]> _said = Channel.CreateUnbounded<byte[]>();
        private int _readCount;

        /// <summary>Reads that brought something.</summary>
        public int ReadCount => Volatile.Read(ref _readCount);

        public void Say(params string[] frames)
        {
            Assert.True(_said.Writer.TryWrite(Encoding.UTF8.GetBytes(string.Concat(frames.Select(frame => $"data: {frame}\n\n")))));
            if (frames[^1] == "[DONE]") _said.Writer.Complete();
        }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(new SaidStream(this)), RequestMessage = request };
            response.Content.Headers.ContentType = new MediaTypeHeaderValue("text/event-stream");
            return Task.FromResult(response);
        }

        private sealed class SaidStream(CountedUpstream upstream) : ReadOnlyStream
        {
            public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            {
                if (!await upstream._said.Reader.WaitToReadAsync(cancellationToken)) return 0;
                if (buffer.Length == 0) return 0;
                Assert.True(upstream._said.Reader.TryRead(out var bytes) && bytes.Length <= buffer.Length);
                Interlocked.Increment(ref upstream._readCount);
                bytes.CopyTo(buffer);
                return bytes.Length;
            }

            public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        }
    }

    /// <summary>Stands between the hub and Kestrel, and counts what replies do.</summary>
    private sealed class CountedClients : IStartupFilter
    {
        public ConcurrentQueue<CountingPipeWriter> Writers { get; } = new();

        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => application =>
        {
            application.Use(inner => async context =>
            {
                var body = new CountedBody(context.Features.GetRequiredFeature<IHttpResponseBodyFeature>());
                Writers.Enqueue(body.Counting);
                context.Features.Set<IHttpResponseBodyFeature>(body);
                await inner(context);
            });
            next(application);
        };
    }

    private sealed class CountedBody(IHttpResponseBodyFeature inner) : IHttpResponseBodyFeature
    {
        public CountingPipeWriter Counting { get; } = new(inner.Writer);

        public Stream Stream => inner.Stream;

        public PipeWriter Writer => Counting;

        public Task CompleteAsync() => inner.CompleteAsync();

        public void DisableBuffering() => inner.DisableBuffering();

        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => inner.SendFileAsync(path, offset, count, cancellationToken);

        public Task StartAsync(CancellationToken cancellationToken = default) => inner.StartAsync(cancellationToken);
    }
}
