using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Counts of tokens as the Messages API states them, cumulative and in several events, and as OpenAI's does: the prompt there includes
/// what was read from a cache or written to it.
/// </summary>
internal sealed class MessagesUsage
{
    private readonly JsonObjectText _object = new();
    private readonly JsonObjectText _details = new();
    private long? _input;
    private long? _output;
    private long? _thinking;
    private long _cacheRead;
    private long _cacheWritten;

    /// <summary>Whether prompt and answer have been counted.</summary>
    public bool IsKnown => _input is not null && _output is not null;

    /// <summary>Takes what an event says; what it leaves out stays.</summary>
    /// <param name="json">The event.</param>
    /// <param name="start">Offset of the <c>usage</c> object.</param>
    public void Read(ReadOnlySpan<byte> json, int start)
    {
        _object.Read(json, start);
        _input = Count(json, "input_tokens"u8) ?? _input;
        _output = Count(json, "output_tokens"u8) ?? _output;
        _cacheRead = Count(json, "cache_read_input_tokens"u8) ?? _cacheRead;
        _cacheWritten = Count(json, "cache_creation_input_tokens"u8) ?? _cacheWritten;
        var details = _object.Find(json, "output_tokens_details"u8);
        if (_object.TypeOf(details) != JsonTokenType.StartObject) return;
        _details.Read(json, _object.ValueStart(details));
        _thinking = _details.Integer(json, _details.Find(json, "thinking_tokens"u8)) ?? _thinking;
    }

    /// <summary>Writes the member <c>usage</c>, and one of ours where the cache was written to, for that has a price of its own.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        var prompt = _input.GetValueOrDefault() + _cacheRead + _cacheWritten;
        JsonText.WriteRaw(output, "\"usage\":{\"prompt_tokens\":"u8);
        JsonText.WriteInteger(output, prompt);
        JsonText.WriteRaw(output, ",\"completion_tokens\":"u8);
        JsonText.WriteInteger(output, _output.GetValueOrDefault());
        JsonText.WriteRaw(output, ",\"total_tokens\":"u8);
        JsonText.WriteInteger(output, prompt + _output.GetValueOrDefault());
        JsonText.WriteRaw(output, ",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
        JsonText.WriteInteger(output, _cacheRead);
        JsonText.WriteRaw(output, "}"u8);
        if (_thinking is { } thinking)
        {
            JsonText.WriteRaw(output, ",\"completion_tokens_details\":{\"reasoning_tokens\":"u8);
            JsonText.WriteInteger(output, thinking);
            JsonText.WriteRaw(output, "}"u8);
        }
        JsonText.WriteRaw(output, "}"u8);
        if (_cacheWritten == 0) return;
        JsonText.WriteRaw(output, ",\"sluice\":{\"cache_creation_input_tokens\":"u8);
        JsonText.WriteInteger(output, _cacheWritten);
        JsonText.WriteRaw(output, "}"u8);
    }

    // Beyond what clients read as a number it would be no count.
    private long? Count(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) =>
        _object.Integer(json, _object.Find(json, name)) is >= 0 and <= int.MaxValue / 4 and var count ? count : null;
}
