using System.Buffers;
using System.Text.Json;

namespace Sluice.Client;

/// <summary>Lets whole events of a stream through and counts them; what a cut leaves of one is thrown away, for it comes again.</summary>
internal sealed class WholeEvents
{
    private readonly ArrayBufferWriter<byte> _block = new();
    // What the event's data lines say, with newlines between them.
    private readonly ArrayBufferWriter<byte> _value = new();
    private int _lineStart;
    private bool _hasFields;
    private bool _hasValue;

    private enum End
    {
        None,
        Chunk,
        Done,
        Failure,
        Stop,
    }

    /// <summary>Chunks that went through.</summary>
    public long Count { get; private set; }

    /// <summary>Whether <c>[DONE]</c> went through.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Whether the hub has said that the stream failed.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Whether the hub has said that it stops. That event is held back, and what follows it is left out.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Forgets the event that has begun or is held back.</summary>
    public void Discard()
    {
        IsStopped = false;
        _block.ResetWrittenCount();
        _value.ResetWrittenCount();
        (_lineStart, _hasFields, _hasValue) = (0, false, false);
    }

    /// <summary>Lets the event through that is held back; false when there is none.</summary>
    public bool PassOn(IBufferWriter<byte> output)
    {
        if (!IsStopped || HasFailed) return false;
        output.Write(_block.WrittenSpan);
        HasFailed = true;
        return true;
    }

    /// <summary>Adds bytes, of which the whole events go on.</summary>
    public void Add(ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        while (!IsStopped && bytes.IndexOf((byte)'\n') is >= 0 and var end)
        {
            _block.Write(bytes[..(end + 1)]);
            bytes = bytes[(end + 1)..];
            EndLine(output);
        }
        if (!IsStopped) _block.Write(bytes);
    }

    private void EndLine(IBufferWriter<byte> output)
    {
        var line = _block.WrittenSpan[_lineStart..].TrimEnd("\r\n"u8);
        var isComment = line.StartsWith(":"u8);
        _lineStart = _block.WrittenCount;
        if (!isComment && line.Length > 0)
        {
            _hasFields = true;
            if (line.StartsWith("data:"u8)) AddValue(line["data:".Length..].TrimStart((byte)' '));
            return;
        }
        // A comment between events is life that whoever reads may be waiting for.
        if (isComment && _hasFields) return;
        var found = _hasValue ? Find(_value.WrittenSpan) : End.None;
        if (found == End.Stop && !IsDone)
        {
            IsStopped = true;
            return;
        }
        output.Write(_block.WrittenSpan);
        if (found == End.Chunk) Count++;
        IsDone |= found == End.Done;
        HasFailed |= found == End.Failure;
        Discard();
    }

    private void AddValue(ReadOnlySpan<byte> line)
    {
        if (_hasValue) _value.Write("\n"u8);
        _value.Write(line);
        _hasValue = true;
    }

    private static End Find(ReadOnlySpan<byte> value)
    {
        if (value.SequenceEqual("[DONE]"u8)) return End.Done;
        // An error event has the error first and nothing else; only such a one is worth parsing.
        if (!value.StartsWith("{"u8) || !value[1..].TrimStart(" \t\n"u8).StartsWith("\"error\""u8)) return End.Chunk;
        return IsStop(value) ? End.Stop : End.Failure;
    }

    private static bool IsStop(ReadOnlySpan<byte> value)
    {
        try
        {
            var reader = new Utf8JsonReader(value);
            return JsonDocument.TryParseValue(ref reader, out var document) && HasStopCode(document);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool HasStopCode(JsonDocument document)
    {
        using (document)
        {
            return document.RootElement.TryGetProperty("error", out var error)
                && error.ValueKind == JsonValueKind.Object
                && error.TryGetProperty("code", out var code)
                && code.ValueKind == JsonValueKind.String
                && code.ValueEquals("server_shutdown"u8);
        }
    }
}
