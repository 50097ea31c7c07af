using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>
/// Makes of a stream's events the one object that a request without <c>stream</c> is answered with. Bounded by
/// <see cref="ProtocolLimits.CompletionBytesMax"/>. For one thread at a time.
/// </summary>
/// <remarks>
/// Reads what <see cref="ChatChunkWriter"/> and <see cref="Relay.ChunkNormalizer"/> write; members that it does not know it keeps. The usage of the result is that of the usage chunk, so the stream must have one
/// for the result to have it.
/// </remarks>
public sealed class ChatCompletionFold : AnswerFold
{
    private readonly SortedDictionary<int, FoldedChoice> _choices = [];
    private readonly FoldedMembers _members =
        new(Pieces.Restated, "id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint", "obfuscation");
    private string? _id;
    private string? _model;
    private string? _serviceTier;
    private string? _systemFingerprint;
    private long _created;
    private string? _usage;
    private long _bytes;
    private byte[]? _whole;
    private ApiError? _error;

    /// <summary>Whether the stream has come to its regular end, so that <see cref="WriteTo"/> may be called.</summary>
    public bool IsDone { get; private set; }

    /// <inheritdoc/>
    public override ApiError? Error => _error;

    /// <summary>Folds more of the stream. Comments are skipped; what follows the end or an error is ignored.</summary>
    /// <param name="sseEvents">Any number of whole events, each ended by a blank line; or an answer that came as one object.</param>
    /// <exception cref="ArgumentException">The last event is not whole.</exception>
    public override void Add(ReadOnlySpan<byte> sseEvents)
    {
        if (sseEvents.StartsWith("{"u8))
        {
            _whole = sseEvents.ToArray();
            return;
        }
        while (!sseEvents.IsEmpty && !IsDone && Error is null)
        {
            var end = sseEvents.IndexOf("\n\n"u8);
            if (end < 0) throw new ArgumentException("The last event is not whole.", nameof(sseEvents));
            var line = sseEvents[..end];
            sseEvents = sseEvents[(end + 2)..];
            if (line.StartsWith("data: "u8)) AddPayload(line["data: "u8.Length..]);
        }
    }

    /// <inheritdoc/>
    public override void End()
    {
        if (_whole is null) Add("data: [DONE]\n\n"u8);
        else IsDone = true;
    }

    /// <summary>Writes the <c>chat.completion</c> object.</summary>
    /// <exception cref="InvalidOperationException">The stream is not done, or it failed.</exception>
    public override void WriteTo(IBufferWriter<byte> output)
    {
        if (!IsDone || Error is not null) throw new InvalidOperationException("The stream has not come to its regular end.");
        Write(output, default);
    }

    /// <summary>Writes what has come so far as a <c>chat.completion</c> object; choices that go on have a <c>finish_reason</c> of null.</summary>
    /// <param name="output">Receives the object.</param>
    /// <param name="head">For a stream without events.</param>
    /// <param name="sluiceMembers">Members for the object <c>sluice</c>, without its braces; at least one.</param>
    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers)
    {
        ArgumentNullException.ThrowIfNull(head);
        if (_id is null) (_id, _model, _created) = (head.Id, head.Model, head.Created);
        Write(output, sluiceMembers);
    }

    private void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> sluiceMembers)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (_whole is not null)
        {
            WriteWhole(output, _whole, sluiceMembers);
            return;
        }
        JsonText.WriteRaw(output, "{\"id\":"u8);
        JsonText.WriteStringOrNull(output, _id);
        JsonText.WriteRaw(output, ",\"object\":\"chat.completion\",\"created\":"u8);
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
            WriteText(output, _usage);
        }

        if (_serviceTier is not null)
        {
            JsonText.WriteRaw(output, ",\"service_tier\":"u8);
            JsonText.WriteStringOrNull(output, _serviceTier);
        }

        if (_systemFingerprint is not null)
        {
            JsonText.WriteRaw(output, ",\"system_fingerprint\":"u8);
            JsonText.WriteStringOrNull(output, _systemFingerprint);
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

    // Byte by byte as the upstream gave it, but for what the hub says about it.
    internal static void WriteWhole(IBufferWriter<byte> output, byte[] whole, ReadOnlySpan<byte> sluiceMembers)
    {
        if (sluiceMembers.IsEmpty)
        {
            JsonText.WriteRaw(output, whole);
            return;
        }
        var root = new JsonObjectText();
        root.Read(whole, 0);
        root.Set(root.Find(whole, "sluice"u8), "\"sluice\""u8.ToArray(), (byte[])[.. "{"u8, .. sluiceMembers, .. "}"u8]);
        root.WriteTo(output, whole);
    }

    internal static void WriteText(IBufferWriter<byte> output, string rawJson) => Encoding.UTF8.GetBytes(rawJson, output);

    private void AddPayload(ReadOnlySpan<byte> payload)
    {
        if (payload.SequenceEqual("[DONE]"u8))
        {
            var isWhole = _choices.Count > 0 && _choices.Values.All(choice => choice.IsFinished);
            if (isWhole) IsDone = true;
            else _error = ApiErrors.ServerError("The stream ended before the answer was finished.");
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
            _error = ApiErrors.ServerError("The stream contains an event that is not a chat completion chunk.");
        }
    }

    private void AddChunk(JsonElement chunk)
    {
        if (chunk.TryGetProperty("error"u8, out var error))
        {
            _error = ReadError(error);
            return;
        }

        if (_id is null)
        {
            _id = chunk.GetProperty("id"u8).GetString();
            _created = chunk.GetProperty("created"u8).GetInt64();
            _model = chunk.GetProperty("model"u8).GetString();
            _serviceTier = FindText(chunk, "service_tier"u8);
            _systemFingerprint = FindText(chunk, "system_fingerprint"u8);
        }

        _members.Add(chunk);
        foreach (var element in chunk.GetProperty("choices"u8).EnumerateArray())
        {
            var index = element.GetProperty("index"u8).GetInt32();
            if ((uint)index >= ProtocolLimits.ChoicesMax) throw new FormatException("A choice's index is out of range.");
            if (!_choices.TryGetValue(index, out var choice)) _choices.Add(index, choice = new FoldedChoice());
            choice.Add(element);
        }

        if (chunk.TryGetProperty("usage"u8, out var usage) && usage.ValueKind == JsonValueKind.Object) _usage = usage.GetRawText();
    }

    // The status is lost in a stream: a client's fault keeps its type, and 500 stands for everything else.
    internal static ApiError ReadError(JsonElement error)
    {
        var type = FindText(error, "type"u8) ?? ApiErrors.ServerErrorType;
        return new ApiError(
            type == ApiErrors.InvalidRequestType ? 400 : 500,
            FindText(error, "message"u8) ?? ApiErrors.ServerError().Message,
            type,
            FindText(error, "param"u8),
            FindText(error, "code"u8));
    }

    private static string? FindText(JsonElement element, ReadOnlySpan<byte> name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}
