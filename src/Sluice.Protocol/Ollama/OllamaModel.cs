using System.Buffers;
using System.Text.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>A model as Ollama's API describes one.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Modified">When it was last changed.</param>
public sealed record OllamaModel(string Name, DateTimeOffset Modified)
{
    private static readonly JsonWriterOptions s_writing = new() { SkipValidation = true };

    /// <summary>Bytes of its file; 0 for one of another server.</summary>
    public long SizeBytes { get; init; }

    /// <summary>64 hexadecimal digits that change with the file.</summary>
    public required string Digest { get; init; }

    /// <summary>What its files are; <c>remote</c> for another server's.</summary>
    public required string Format { get; init; }

    /// <summary>Its architecture.</summary>
    public required string Family { get; init; }

    /// <summary>Such as <c>4.3B</c>; empty where nobody knows.</summary>
    public string ParameterSize { get; init; } = "";

    /// <summary>Such as <c>Q4_K</c>; empty where nobody knows.</summary>
    public string QuantizationLevel { get; init; } = "";

    /// <summary>Tokens; 0 where nobody knows.</summary>
    public int ContextLength { get; init; }

    /// <summary>Ollama's words for what it can do.</summary>
    public IReadOnlyList<string> Capabilities { get; init; } = [];

    /// <summary>Its chat template; empty for none.</summary>
    public string Template { get; init; } = "";

    /// <summary>Null where its file says none.</summary>
    public string? License { get; init; }

    /// <summary>The keys of its file: a text, a long, a double, a truth value, or null.</summary>
    public IReadOnlyDictionary<string, object?> Values { get; init; } = new Dictionary<string, object?>();

    /// <summary>Writes <c>{"models":[…]}</c>.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="models">In their order.</param>
    public static void WriteList(IBufferWriter<byte> output, IEnumerable<OllamaModel> models)
    {
        ArgumentNullException.ThrowIfNull(models);
        using var json = new Utf8JsonWriter(output, s_writing);
        json.WriteStartObject();
        json.WriteStartArray("models"u8);
        foreach (var model in models)
        {
            json.WriteStartObject();
            model.WriteHead(json);
            json.WriteString("modified_at"u8, TimeOf(model.Modified));
            model.WriteDetails(json);
            model.WriteCapabilities(json);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Writes <c>{"models":[…]}</c> of those that are in memory.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="models">With the bytes that they take, and until when they stay.</param>
    public static void WriteLoaded(IBufferWriter<byte> output, IEnumerable<(OllamaModel Model, long Bytes, DateTimeOffset Until)> models)
    {
        ArgumentNullException.ThrowIfNull(models);
        using var json = new Utf8JsonWriter(output, s_writing);
        json.WriteStartObject();
        json.WriteStartArray("models"u8);
        foreach (var (model, bytes, until) in models)
        {
            json.WriteStartObject();
            (model with { SizeBytes = bytes }).WriteHead(json);
            model.WriteDetails(json);
            json.WriteString("expires_at"u8, TimeOf(until));
            json.WriteNumber("size_vram"u8, 0);
            json.WriteNumber("context_length"u8, model.ContextLength);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Writes all that is known of it.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        using var json = new Utf8JsonWriter(output, s_writing);
        json.WriteStartObject();
        json.WriteString("modelfile"u8, $"# The hub has no Modelfiles.\nFROM {Name}\n");
        json.WriteString("parameters"u8, "");
        json.WriteString("template"u8, Template);
        if (License is not null) json.WriteString("license"u8, License);
        WriteDetails(json);
        json.WriteStartObject("model_info"u8);
        foreach (var (key, value) in Values.OrderBy(static pair => pair.Key, StringComparer.Ordinal)) WriteValue(json, key, value);
        json.WriteEndObject();
        WriteCapabilities(json);
        json.WriteString("modified_at"u8, TimeOf(Modified));
        json.WriteEndObject();
    }

    private void WriteHead(Utf8JsonWriter json)
    {
        json.WriteString("name"u8, Name);
        json.WriteString("model"u8, Name);
        json.WriteNumber("size"u8, SizeBytes);
        json.WriteString("digest"u8, Digest);
    }

    private void WriteDetails(Utf8JsonWriter json)
    {
        json.WriteStartObject("details"u8);
        json.WriteString("parent_model"u8, "");
        json.WriteString("format"u8, Format);
        json.WriteString("family"u8, Family);
        json.WriteStartArray("families"u8);
        json.WriteStringValue(Family);
        json.WriteEndArray();
        json.WriteString("parameter_size"u8, ParameterSize);
        json.WriteString("quantization_level"u8, QuantizationLevel);
        json.WriteEndObject();
    }

    private void WriteCapabilities(Utf8JsonWriter json)
    {
        json.WriteStartArray("capabilities"u8);
        foreach (var capability in Capabilities) json.WriteStringValue(capability);
        json.WriteEndArray();
    }

    private static void WriteValue(Utf8JsonWriter json, string key, object? value)
    {
        switch (value)
        {
            case string text:
                json.WriteString(key, text);
                break;
            case bool truth:
                json.WriteBoolean(key, truth);
                break;
            case long number:
                json.WriteNumber(key, number);
                break;
            case double number when double.IsFinite(number):
                json.WriteNumber(key, number);
                break;
            default:
                json.WriteNull(key);
                break;
        }
    }

    private static string TimeOf(DateTimeOffset time) => time.UtcDateTime.ToString("O", System.Globalization.CultureInfo.InvariantCulture);
}
