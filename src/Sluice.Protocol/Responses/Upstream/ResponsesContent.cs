using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>Writes parts of a message as the Responses API has them.</summary>
/// <param name="writer">Stands in an array of parts.</param>
internal sealed class ResponsesContent(Utf8JsonWriter writer)
{
    /// <summary>Whether the part is text.</summary>
    public static bool IsText(JsonElement part) => part.GetProperty("type"u8).ValueEquals("text"u8);

    /// <summary>Writes a part of what a model has said.</summary>
    public void WriteOutputText(string text)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "output_text"u8);
        writer.WriteString("text"u8, text);
        writer.WriteStartArray("annotations"u8);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Writes a part of a refusal.</summary>
    public void WriteRefusal(string text)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "refusal"u8);
        writer.WriteString("refusal"u8, text);
        writer.WriteEndObject();
    }

    /// <summary>Writes what goes into the model: text, an image, a file, sound.</summary>
    /// <param name="part">Validated.</param>
    /// <param name="path">Names it in an error.</param>
    /// <returns>A 400 for what the API doesn't take; null otherwise.</returns>
    public ApiError? WriteInput(JsonElement part, string path)
    {
        switch (part.GetProperty("type"u8).GetString())
        {
            case "text":
                WriteInputText(part.GetProperty("text"u8).GetString()!);
                return null;
            case "refusal":
                WriteInputText(part.GetProperty("refusal"u8).GetString()!);
                return null;
            case "image_url":
                return WriteImage(part.GetProperty("image_url"u8), path);
            case "file":
                return WriteFile(part.GetProperty("file"u8), path);
            case "input_audio":
                writer.WriteStartObject();
                writer.WriteString("type"u8, "input_audio"u8);
                writer.WritePropertyName("input_audio"u8);
                part.GetProperty("input_audio"u8).WriteTo(writer);
                writer.WriteEndObject();
                return null;
            default:
                return ApiErrors.ValueNotInMessages($"{path}.type", "it takes text, images, files and sound");
        }
    }

    private void WriteInputText(string text)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "input_text"u8);
        writer.WriteString("text"u8, text);
        writer.WriteEndObject();
    }

    private ApiError? WriteImage(JsonElement image, string path)
    {
        if (!image.TryGet("url"u8, JsonValueKind.String, out var url)) return ApiErrors.MissingParameter($"{path}.image_url.url");
        writer.WriteStartObject();
        writer.WriteString("type"u8, "input_image"u8);
        writer.WritePropertyName("image_url"u8);
        url.WriteTo(writer);
        // The API wants to be told, and this is what it does without.
        writer.WriteString("detail"u8, image.TryGet("detail"u8, JsonValueKind.String, out var detail) ? detail.GetString() : "auto");
        writer.WriteEndObject();
        return null;
    }

    private ApiError? WriteFile(JsonElement file, string path)
    {
        var hasId = file.TryGet("file_id"u8, JsonValueKind.String, out var id);
        var hasData = file.TryGet("file_data"u8, JsonValueKind.String, out var data);
        if (!hasId && !hasData) return ApiErrors.MissingParameter($"{path}.file.file_data");
        writer.WriteStartObject();
        writer.WriteString("type"u8, "input_file"u8);
        if (hasId)
        {
            writer.WritePropertyName("file_id"u8);
            id.WriteTo(writer);
        }
        if (hasData)
        {
            if (file.TryGet("filename"u8, JsonValueKind.String, out var name)) writer.WriteString("filename"u8, name.GetString());
            writer.WritePropertyName("file_data"u8);
            data.WriteTo(writer);
        }
        writer.WriteEndObject();
        return null;
    }
}
