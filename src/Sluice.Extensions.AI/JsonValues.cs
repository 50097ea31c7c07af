using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI;

/// <summary>Values of tools and options, which may be anything, as JSON.</summary>
internal static class JsonValues
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a value.</summary>
    /// <exception cref="NotSupportedException">It is of a type that has no serializer; the message names it.</exception>
    public static void Write(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case null:
                json.WriteNullValue();
                break;
            case string text:
                json.WriteStringValue(text);
                break;
            case JsonElement element:
                element.WriteTo(json);
                break;
            default:
                // Without reflection: what an application has types for it turns into a JsonElement itself.
                JsonSerializer.Serialize(json, value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value.GetType()));
                break;
        }
    }

    /// <summary>The text of a tool's result: text as it is, anything else as JSON.</summary>
    /// <exception cref="NotSupportedException">As for <see cref="Write"/>.</exception>
    public static string TextOf(object? value) => value switch
    {
        null => "",
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString()!,
        JsonElement element => element.GetRawText(),
        TextContent content => content.Text,
        _ => Print(json => Write(json, value)),
    };

    /// <summary>The arguments of a call as one JSON object.</summary>
    /// <exception cref="NotSupportedException">As for <see cref="Write"/>.</exception>
    public static string TextOf(IDictionary<string, object?>? arguments) => Print(json =>
    {
        json.WriteStartObject();
        foreach (var (name, value) in arguments ?? new Dictionary<string, object?>())
        {
            json.WritePropertyName(name);
            Write(json, value);
        }
        json.WriteEndObject();
    });

    /// <summary>The other way round: the members of an object, each as a <see cref="JsonElement"/>.</summary>
    /// <exception cref="JsonException">It is no JSON object.</exception>
    public static IDictionary<string, object?> Parse(string arguments)
    {
        using var document = JsonDocument.Parse(arguments.Length == 0 ? "{}" : arguments);
        if (document.RootElement.ValueKind != JsonValueKind.Object) throw new JsonException("The arguments are not a JSON object.");
        return document.RootElement.EnumerateObject().ToDictionary(static member => member.Name, static member => (object?)member.Value.Clone());
    }

    private static string Print(Action<Utf8JsonWriter> write)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(output, s_options)) write(json);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
