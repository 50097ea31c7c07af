using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Sluice.Extensions.AI;

/// <summary>Vectors for texts from a model of Sluice: a GGUF file that runs in this process, a hub of this application, or a hub elsewhere. Thread-safe.</summary>
/// <remarks>A request that is refused is an <see cref="HttpRequestException"/> with the status and the words of the hub.</remarks>
public sealed class SluiceEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly HubConnection _hub;
    private readonly EmbeddingGeneratorMetadata _metadata;

    /// <summary>Runs a model file in this process. It loads with the first request.</summary>
    /// <param name="path">A GGUF file that makes vectors.</param>
    /// <param name="loggers">Told of what the engine has to say; null for nobody.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public SluiceEmbeddingGenerator(string path, ILoggerFactory? loggers = null)
        : this(HubConnection.Open(path, loggers))
    {
    }

    /// <summary>Asks a hub over HTTP.</summary>
    /// <param name="http">As for <see cref="SluiceChatClient(HttpClient, string)"/>.</param>
    /// <param name="model">The hub's name of the model.</param>
    public SluiceEmbeddingGenerator(HttpClient http, string model)
        : this(new HubConnection(http, model))
    {
    }

    /// <summary>Asks the hub of this application.</summary>
    /// <param name="services">Of the application, which has started.</param>
    /// <param name="model">The hub's name of the model.</param>
    public SluiceEmbeddingGenerator(IServiceProvider services, string model)
        : this(HubConnection.Of(services, model))
    {
    }

    private SluiceEmbeddingGenerator(HubConnection hub)
    {
        _hub = hub;
        _metadata = new EmbeddingGeneratorMetadata("sluice", hub.Address, hub.Model);
    }

    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        var texts = values.ToList();
        if (texts.Count == 0) return [];
        using var response = await _hub.PostAsync("embeddings", Write(texts, options), cancellationToken).ConfigureAwait(false);
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        using var document = await JsonDocument.ParseAsync(stream, default, cancellationToken).ConfigureAwait(false);
        return Read(document.RootElement);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        return serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Unloads a model that runs for this generator alone.</summary>
    public void Dispose() => _hub.Dispose();

    private ReadOnlyMemory<byte> Write(List<string> texts, EmbeddingGenerationOptions? options)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        json.WriteString("model", options?.ModelId ?? _hub.Model);
        // A quarter of the digits, and exact.
        json.WriteString("encoding_format", "base64");
        if (options?.Dimensions is { } dimensions) json.WriteNumber("dimensions", dimensions);
        json.WriteStartArray("input");
        foreach (var text in texts) json.WriteStringValue(text);
        json.WriteEndArray();
        foreach (var (name, value) in options?.AdditionalProperties ?? [])
        {
            json.WritePropertyName(name);
            JsonValues.Write(json, value);
        }
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    private static GeneratedEmbeddings<Embedding<float>> Read(JsonElement answer)
    {
        var model = answer.TryGetProperty("model", out var name) ? name.GetString() : null;
        var vectors = answer.GetProperty("data").EnumerateArray()
            .OrderBy(static item => item.GetProperty("index").GetInt32())
            .Select(item => new Embedding<float>(ReadVector(item.GetProperty("embedding"))) { ModelId = model });
        var result = new GeneratedEmbeddings<Embedding<float>>(vectors);
        if (answer.TryGetProperty("usage", out var usage) && usage.TryGetProperty("prompt_tokens", out var tokens))
            result.Usage = new UsageDetails { InputTokenCount = tokens.GetInt64(), TotalTokenCount = tokens.GetInt64() };
        return result;
    }

    // Some servers don't know base64, and send numbers whatever is asked for.
    private static float[] ReadVector(JsonElement vector) => vector.ValueKind == JsonValueKind.String
        ? MemoryMarshal.Cast<byte, float>(vector.GetBytesFromBase64()).ToArray()
        : [.. vector.EnumerateArray().Select(static number => number.GetSingle())];
}
