using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>Tells OpenAI's object of embeddings in Ollama's form.</summary>
/// <param name="time">Clock of the reply, which begins now.</param>
/// <param name="isOlder">Whether the one vector stands alone.</param>
internal sealed class OllamaEmbedFold(TimeProvider time, bool isOlder) : AnswerFold
{
    private readonly ArrayBufferWriter<byte> _json = new();
    private readonly long _started = time.GetTimestamp();
    private ApiError? _error;

    public override ApiError? Error => _error;

    public override void Add(ReadOnlySpan<byte> sseEvents) => JsonText.WriteRaw(_json, sseEvents);

    public override void End()
    {
        if (_json.WrittenCount == 0) _error = ApiErrors.ServerError("The answer is empty.");
    }

    public override void WriteTo(IBufferWriter<byte> output)
    {
        using var document = JsonDocument.Parse(_json.WrittenMemory, new JsonDocumentOptions { MaxDepth = ProtocolLimits.JsonDepthMax });
        var root = document.RootElement;
        // Servers of open models give them in another order at times, each with its place.
        var vectors = root.GetProperty("data"u8).EnumerateArray()
            .OrderBy(static entry => entry.TryGetProperty("index"u8, out var index) && index.TryGetInt32(out var place) ? place : 0)
            .Select(static entry => entry.GetProperty("embedding"u8)).ToList();
        if (isOlder)
        {
            JsonText.WriteRaw(output, "{\"embedding\":"u8);
            Write(output, vectors.Count > 0 ? vectors[0].GetRawText() : "[]");
            JsonText.WriteRaw(output, "}"u8);
            return;
        }
        JsonText.WriteRaw(output, "{\"model\":"u8);
        JsonText.WriteStringOrNull(output, root.TryGetProperty("model"u8, out var model) && model.ValueKind == JsonValueKind.String ? model.GetString() : "");
        JsonText.WriteRaw(output, ",\"embeddings\":["u8);
        for (var i = 0; i < vectors.Count; i++)
        {
            if (i > 0) JsonText.WriteRaw(output, ","u8);
            Write(output, vectors[i].GetRawText());
        }
        JsonText.WriteRaw(output, "],\"total_duration\":"u8);
        JsonText.WriteInteger(output, time.GetElapsedTime(_started).Ticks * TimeSpan.NanosecondsPerTick);
        JsonText.WriteRaw(output, ",\"load_duration\":0,\"prompt_eval_count\":"u8);
        JsonText.WriteInteger(output, root.TryGetProperty("usage"u8, out var usage) && usage.TryGetProperty("prompt_tokens"u8, out var tokens) && tokens.TryGetInt64(out var count) ? count : 0);
        JsonText.WriteRaw(output, "}"u8);
    }

    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers) => WriteTo(output);

    private static void Write(IBufferWriter<byte> output, string json) => JsonText.WriteRaw(output, Encoding.UTF8.GetBytes(json));
}
