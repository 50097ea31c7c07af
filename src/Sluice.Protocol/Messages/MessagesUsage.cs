using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Counts of tokens as the Messages API states them, cumulative and in several events. Its prompt leaves out what was read from a cache or
/// written to it, and everybody else's includes that.
/// </summary>
internal sealed class MessagesUsage
{
    private readonly JsonObjectText _object = new();
    private readonly JsonObjectText _details = new();
    private long? _input;
    private long? _output;
    private long _thinking;
    private long _cacheRead;
    private long _cacheWritten;

    /// <summary>Whether prompt and answer have been counted.</summary>
    public bool IsKnown => _input is not null && _output is not null;

    /// <summary>The counts so far.</summary>
    public AnswerUsage Counts => new(
        Sum(_input.GetValueOrDefault(), _cacheRead, _cacheWritten), (int)_cacheRead, (int)_output.GetValueOrDefault(), (int)_thinking)
    {
        CacheWrittenTokens = (int)_cacheWritten,
    };

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
        _thinking = IsCount(_details.Integer(json, _details.Find(json, "thinking_tokens"u8))) ?? _thinking;
    }

    /// <summary>Writes the value of <c>usage</c>.</summary>
    public static void Write(IBufferWriter<byte> output, in AnswerUsage usage)
    {
        JsonText.WriteRaw(output, "{\"input_tokens\":"u8);
        JsonText.WriteInteger(output, long.Max(0, (long)usage.PromptTokens - usage.CachedTokens - usage.CacheWrittenTokens));
        JsonText.WriteRaw(output, ",\"cache_creation_input_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CacheWrittenTokens);
        JsonText.WriteRaw(output, ",\"cache_read_input_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CachedTokens);
        JsonText.WriteRaw(output, ",\"output_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CompletionTokens);
        if (usage.ReasoningTokens > 0)
        {
            JsonText.WriteRaw(output, ",\"output_tokens_details\":{\"thinking_tokens\":"u8);
            JsonText.WriteInteger(output, usage.ReasoningTokens);
            JsonText.WriteRaw(output, "}"u8);
        }
        JsonText.WriteRaw(output, "}"u8);
    }

    private long? Count(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) => IsCount(_object.Integer(json, _object.Find(json, name)));

    // Beyond what clients read as a number it would be no count.
    private static long? IsCount(long? count) => count is >= 0 and <= int.MaxValue / 4 ? count : null;

    private static int Sum(long first, long second, long third) => (int)(first + second + third);
}
