using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Storage;
using Sluice.Streaming;

namespace Sluice.Server.Cluster;

/// <summary>What a frame between hubs is; its first byte.</summary>
internal enum PeerFrameKind : byte
{
    /// <summary>What the answer is: the first frame.</summary>
    Head = (byte)'h',

    /// <summary>Events, the number of the first before them.</summary>
    Events = (byte)'e',

    /// <summary>How many events the database has. The first one says that the reader has its place.</summary>
    Committed = (byte)'c',

    /// <summary>Nothing, but the hub lives.</summary>
    Beat = (byte)'b',

    /// <summary>The answer has ended.</summary>
    End = (byte)'x',

    /// <summary>This hub no longer makes the answer.</summary>
    Moved = (byte)'f',

    /// <summary>There is no place to be had, and why.</summary>
    Refused = (byte)'r',
}

/// <summary>The bytes of a stream from one hub to another: a kind, a length of four bytes, and as many bytes.</summary>
internal static class PeerFrames
{
    // An event of an upstream has at most 64 MiB.
    private const int BytesMax = 96 << 20;
    private const int HeadBytes = 5;

    public static void Write(IBufferWriter<byte> output, PeerFrameKind kind, ReadOnlySpan<byte> bytes)
    {
        WriteHead(output, kind, bytes.Length);
        output.Write(bytes);
    }

    public static void WriteCommitted(IBufferWriter<byte> output, long count)
    {
        WriteHead(output, PeerFrameKind.Committed, sizeof(long));
        BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan(sizeof(long)), count);
        output.Advance(sizeof(long));
    }

    public static void WriteEvents(IBufferWriter<byte> output, long first, EventBuffer events)
    {
        var head = sizeof(long) + (sizeof(int) * (events.Count + 1));
        WriteHead(output, PeerFrameKind.Events, head + events.WrittenCount);
        var span = output.GetSpan(head);
        BinaryPrimitives.WriteInt64LittleEndian(span, first);
        BinaryPrimitives.WriteInt32LittleEndian(span[sizeof(long)..], events.Count);
        for (var i = 0; i < events.Count; i++) BinaryPrimitives.WriteInt32LittleEndian(span[(sizeof(long) + (sizeof(int) * (i + 1)))..], events[i].Length);
        output.Advance(head);
        output.Write(events.WrittenSpan);
    }

    /// <summary>Appends to a log what it has not got of a frame of events.</summary>
    /// <returns>False where events are missing before it, or the frame is damaged.</returns>
    public static bool TryAppend(ReadOnlySpan<byte> frame, StreamLog log)
    {
        if (frame.Length < sizeof(long) + sizeof(int)) return false;
        var (number, count) = (BinaryPrimitives.ReadInt64LittleEndian(frame), BinaryPrimitives.ReadInt32LittleEndian(frame[sizeof(long)..]));
        var lengths = frame[(sizeof(long) + sizeof(int))..];
        if (number > log.EventCount || count < 0 || (long)count * sizeof(int) > lengths.Length) return false;
        var events = lengths[(count * sizeof(int))..];
        for (var i = 0; i < count; i++, number++)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(lengths[(i * sizeof(int))..]);
            if (length <= 0 || length > events.Length) return false;
            if (number >= log.EventCount) log.AppendQuietly(events[..length]);
            events = events[length..];
        }
        return true;
    }

    public static byte[] WriteEnd(StoredEnd end)
    {
        var text = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteNumber("kind"u8, (int)end.Kind);
            if (end.Failure is { } failure) json.WriteString("failure"u8, StoredFailure.Write(failure));
            json.WriteBoolean("estimated"u8, end.IsUsageEstimated);
            if (end.Usage is { } usage)
            {
                json.WriteStartArray("usage"u8);
                json.WriteNumberValue(usage.PromptTokens);
                json.WriteNumberValue(usage.CachedTokens);
                json.WriteNumberValue(usage.CompletionTokens);
                json.WriteNumberValue(usage.ReasoningTokens);
                json.WriteEndArray();
            }
            json.WriteEndObject();
        }
        return text.WrittenSpan.ToArray();
    }

    /// <exception cref="JsonException">It is no end.</exception>
    public static StoredEnd ReadEnd(ReadOnlyMemory<byte> frame)
    {
        using var document = JsonDocument.Parse(frame);
        var root = document.RootElement;
        AnswerUsage? usage = root.TryGetProperty("usage"u8, out var counts) && counts.GetArrayLength() == 4
            ? new AnswerUsage(counts[0].GetInt32(), counts[1].GetInt32(), counts[2].GetInt32(), counts[3].GetInt32()) : null;
        return new StoredEnd(
            (StreamEndKind)root.GetProperty("kind"u8).GetInt32(), root.TryGetProperty("failure"u8, out var failure) ? StoredFailure.Read(failure.GetString()!) : null,
            usage, root.GetProperty("estimated"u8).GetBoolean(), DateTimeOffset.UnixEpoch);
    }

    public static byte[] WriteRefusal(ApiError error) => Encoding.UTF8.GetBytes(StoredFailure.Write(error));

    /// <exception cref="JsonException">It is no refusal.</exception>
    public static ApiError ReadRefusal(ReadOnlyMemory<byte> frame) => StoredFailure.Read(Encoding.UTF8.GetString(frame.Span));

    /// <summary>The next frame.</summary>
    /// <exception cref="IOException">The stream has ended, or is no stream of frames.</exception>
    public static async Task<(PeerFrameKind Kind, byte[] Bytes)> ReadAsync(Stream stream, CancellationToken cancellation)
    {
        var head = new byte[HeadBytes];
        await stream.ReadExactlyAsync(head, cancellation);
        var length = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(1));
        if (length is < 0 or > BytesMax) throw new IOException("Another hub sends something else than frames.");
        var bytes = new byte[length];
        await stream.ReadExactlyAsync(bytes, cancellation);
        return ((PeerFrameKind)head[0], bytes);
    }

    private static void WriteHead(IBufferWriter<byte> output, PeerFrameKind kind, int length)
    {
        var span = output.GetSpan(HeadBytes);
        span[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(span[1..], length);
        output.Advance(HeadBytes);
    }
}
