using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Completions;

/// <summary>
/// Makes of a stream's events the one object that a request without <c>stream</c> is answered with; members that it does not know it keeps.
/// Bounded by <see cref="ProtocolLimits.CompletionBytesMax"/>. For one thread at a time.
/// </summary>
internal sealed class CompletionFold : AnswerFold
{
    private readonly SortedDictionary<int, FoldedText> _choices = [];
    private readonly FoldedMembers _members = new(Pieces.Restated, "id", "object", "created", "model", "choices", "usage", "obfuscation");
    private string? _id;
    private string? _model;
    private long _created;
    private string? _usage;
    private long _bytes;
    private byte[]? _whole;
    private bool _isDone;
    private ApiError? _error;

    public override ApiError? Error => _error;

    public override void Add(ReadOnlySpan<byte> sseEvents)
    {
        if (sseEvents.StartsWith("{"u8))
        {
            _whole = sseEvents.ToArray();
            return;
        }

        while (!sseEvents.IsEmpty && !_isDone && Error is null)
        {
            var end = sseEvents.IndexOf("\n\n"u8);
            if (end < 0) throw new ArgumentException("The last event is not whole.", nameof(sseEvents));
            var line = sseEvents[..end];
            sseEvents = sseEvents[(end + 2)..];
            if (line.StartsWith("data: "u8)) AddPayload(line["data: "u8.Length..]);
        }
    }

    public override void End()
    {
        if (_whole is not null || (_choices.Count > 0 && _choices.Values.All(static choice => choice.IsFinished))) _isDone = true;
        else _error ??= ApiErrors.ServerError("The stream ended before the answer was finished.");
    }

    public override void WriteTo(IBufferWriter<byte> output)
    {
        if (!_isDone || Error is not null) throw new InvalidOperationException("The stream has not come to its regular end.");
        Write(output, default);
    }

    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers)
    {
        if (_id is null) (_id, _model, _created) = (head.Id, head.Model, head.Created);
        Write(output, sluiceMembers);
    }

    private void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> sluiceMembers)
    {
        if (_whole is not null)
        {
            ChatCompletionFold.WriteWhole(output, _whole, sluiceMembers);
            return;
        }

        JsonText.WriteRaw(output, "{\"id\":"u8);
        JsonText.WriteStringOrNull(output, _id);
        JsonText.WriteRaw(output, ",\"object\":\"text_completion\",\"created\":"u8);
        JsonText.WriteInteger(output, _created);
        JsonText.WriteRaw(output, ",\"model\":"u8);
        JsonText.WriteStringOrNull(output, _model);
        JsonText.WriteRaw(output, ",\"choices\":["u8);
        var isFirst = true;
        foreach (var (index, choice) in _choices)
        {
            if (!isFirst) JsonText.WriteRaw(output, ","u8);
            isFirst = false;
            choice.WriteTo(output, index);
        }

        JsonText.WriteRaw(output, "]"u8);
        if (_usage is not null)
        {
            JsonText.WriteRaw(output, ",\"usage\":"u8);
            Encoding.UTF8.GetBytes(_usage, output);
        }

        if (!sluiceMembers.IsEmpty)
        {
            JsonText.WriteRaw(output, ",\"sluice\":{"u8);
            JsonText.WriteRaw(output, sluiceMembers);
            // What stands there already is one of our own objects: {"usage_estimated":true}.
            _members.Take("sluice")?.WriteMembers(output, isFirst: false);
            JsonText.WriteRaw(output, "}"u8);
        }

        _members.WriteTo(output);
        JsonText.WriteRaw(output, "}"u8);
    }

    private void AddPayload(ReadOnlySpan<byte> payload)
    {
        if (payload.SequenceEqual("[DONE]"u8))
        {
            End();
            return;
        }

        _bytes += payload.Length;
        if (_bytes > ProtocolLimits.CompletionBytesMax)
        {
            const int Max = ProtocolLimits.CompletionBytesMax;
            _error = ApiErrors.ServerError($"The completion is larger than {Max} bytes; ask for it as a stream.");
            return;
        }

        try
        {
            var reader = new Utf8JsonReader(payload);
            using var document = JsonDocument.ParseValue(ref reader);
            AddChunk(document.RootElement);
        }
        catch (Exception exception) when (
            exception is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            // JsonElement throws these for a member of another kind than a chunk has.
            _error = ApiErrors.ServerError("The stream contains an event that is not a text completion chunk.");
        }
    }

    private void AddChunk(JsonElement chunk)
    {
        if (chunk.TryGetProperty("error"u8, out var error))
        {
            _error = ChatCompletionFold.ReadError(error);
            return;
        }

        if (_id is null)
        {
            _id = chunk.GetProperty("id"u8).GetString();
            _created = chunk.GetProperty("created"u8).GetInt64();
            _model = chunk.GetProperty("model"u8).GetString();
        }

        _members.Add(chunk);
        foreach (var element in chunk.GetProperty("choices"u8).EnumerateArray())
        {
            var index = element.GetProperty("index"u8).GetInt32();
            if ((uint)index >= ProtocolLimits.CompletionChoicesMax) throw new FormatException("A choice's index is out of range.");
            if (!_choices.TryGetValue(index, out var choice)) _choices.Add(index, choice = new FoldedText());
            choice.Add(element);
        }

        if (chunk.TryGetProperty("usage"u8, out var usage) && usage.ValueKind == JsonValueKind.Object) _usage = usage.GetRawText();
    }
}
