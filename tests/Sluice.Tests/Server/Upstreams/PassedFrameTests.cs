using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>The budget of one frame on its way: from the bytes of an upstream's connection to the buffer of a client's.</summary>
public sealed class PassedFrameTests
{
    private const int EventsPerRead = 3;

    [Fact]
    public void A_frame_from_socket_buffer_to_socket_buffer_allocates_nothing()
    {
        using var generation = new Generation("chatcmpl-1", new StreamLimits { HotBytes = 64 << 10 });
        using var reader = generation.Log.TryOpenReader()!;
        using var deadline = new AttemptDeadline(TimeProvider.System);
        var record = new RequestFigures(TimeProvider.System);
        var grace = new ReaderGrace(generation.Log, TimeSpan.FromSeconds(5), TimeProvider.System);
        var normalizer = new ChunkNormalizer(new RelayOptions("chatcmpl-1", "m", 1_800_000_000));
        var parser = new ServerSentEventParser(ProtocolLimits.EventLineBytesMax, ProtocolLimits.EventBytesMax);
        var events = new EventBuffer();
        var output = new EventBuffer(1 << 16);
        Relay(Encoding.UTF8.GetBytes($"data: {ScriptedUpstream.Role()}\n\n"));
        var plain = Bytes(ScriptedUpstream.Text(" token"));
        var escaped = Bytes(ScriptedUpstream.Text("\\n\\\"x"));
        Run(1_000);

        Assert.Equal(0, AllocatedBytes.Least(() => Run(5_000)));
        generation.Log.Complete();

        static byte[] Bytes(string frame) => Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat($"data: {frame}\n\n", EventsPerRead)));

        void Run(int count)
        {
            for (var i = 0; i < count; i++) Relay(i % 8 == 0 ? escaped : plain);
        }

        void Relay(ReadOnlySpan<byte> bytes)
        {
            while (parser.TryRead(bytes, out var consumed, out var item))
            {
                bytes = bytes[consumed..];
                normalizer.Add(item.Data.Span, events);
                record.AddContent();
                deadline.Restart(TimeSpan.FromSeconds(15));
                Assert.False(grace.IsNeeded(events.WrittenCount));
                generation.Log.AppendQuietly(events.WrittenSpan);
                events.Clear();
            }
            generation.Log.Publish();
            output.Clear();
            reader.TryRead(output);
        }
    }
}
