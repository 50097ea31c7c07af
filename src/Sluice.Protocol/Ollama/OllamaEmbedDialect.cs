using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>
/// Ollama's embeddings: <c>/api/embed</c>, and the older <c>/api/embeddings</c> with one prompt. Asked for in OpenAI's form from the door on, and
/// told in Ollama's.
/// </summary>
public sealed class OllamaEmbedDialect : EmbeddingsDialect
{
    private readonly bool _isOlder;

    private OllamaEmbedDialect(bool isOlder) => _isOlder = isOlder;

    /// <summary>Several texts.</summary>
    public static new OllamaEmbedDialect Instance { get; } = new(isOlder: false);

    /// <summary>One text.</summary>
    public static OllamaEmbedDialect Older { get; } = new(isOlder: true);

    /// <inheritdoc/>
    public override string Name => _isOlder ? "ollama-embeddings" : "ollama-embed";

    /// <inheritdoc/>
    public override string Path => _isOlder ? "/api/embeddings" : "/api/embed";

    /// <inheritdoc/>
    public override bool TakesAnyContentType => true;

    /// <inheritdoc/>
    public override string? FindPlainName(string model) => OllamaNames.WithoutTag(model);

    /// <inheritdoc/>
    public override void WriteErrorBody(IBufferWriter<byte> output, ApiError error, string requestId) => OllamaDialect.WriteError(output, error);

    /// <inheritdoc/>
    public override AnswerFold CreateFold() => CreateFold(TimeProvider.System);

    /// <inheritdoc/>
    public override AnswerFold CreateFold(TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        return new OllamaEmbedFold(time, _isOlder);
    }

    /// <summary>Whether a request has nothing to make vectors of: no input, an empty text, or an empty list.</summary>
    /// <param name="body">As the client wrote it.</param>
    public bool HasNoInput(ReadOnlyMemory<byte> body)
    {
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) return false;
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object) return false;
            if (!document.RootElement.TryGetProperty(_isOlder ? "prompt"u8 : "input"u8, out var input)) return true;
            return input.ValueKind switch
            {
                JsonValueKind.Null => true,
                JsonValueKind.String => input.ValueEquals(""u8),
                JsonValueKind.Array => input.GetArrayLength() == 0,
                _ => false,
            };
        }
    }

    /// <summary>Answers a request of which <see cref="HasNoInput"/> is true.</summary>
    public void WriteNothing(IBufferWriter<byte> output, string model)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (_isOlder)
        {
            JsonText.WriteRaw(output, "{\"embedding\":[]}"u8);
            return;
        }
        JsonText.WriteRaw(output, "{\"model\":"u8);
        JsonText.WriteStringOrNull(output, model);
        JsonText.WriteRaw(output, ",\"embeddings\":[]}"u8);
    }

    /// <summary>The request in OpenAI's form.</summary>
    /// <param name="body">As the client wrote it.</param>
    /// <param name="error">A 400; null where there is none.</param>
    public byte[] ToOpenAI(ReadOnlyMemory<byte> body, out ApiError? error)
    {
        error = null;
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document))
        {
            error = ApiErrors.UnparsableBody();
            return [];
        }
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                error = ApiErrors.BodyNotAnObject(ApiErrors.Describe(document.RootElement));
                return [];
            }
            var output = new ArrayBufferWriter<byte>(body.Length + 64);
            using (var writer = new Utf8JsonWriter(output))
            {
                writer.WriteStartObject();
                foreach (var member in document.RootElement.EnumerateObject())
                {
                    if (member.Name is not ("model" or "dimensions") && member.Name != (_isOlder ? "prompt" : "input")) continue;
                    writer.WritePropertyName(member.Name == "prompt" ? "input" : member.Name);
                    member.Value.WriteTo(writer);
                }
                // The default value needs no word, which other servers would refuse.
                if (document.RootElement.TryGetProperty("truncate"u8, out var truncate) && truncate.ValueKind == JsonValueKind.False) writer.WriteBoolean("truncate"u8, false);
                writer.WriteString("encoding_format"u8, "float"u8);
                writer.WriteEndObject();
            }
            return output.WrittenSpan.ToArray();
        }
    }
}
