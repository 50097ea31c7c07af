using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>Writes parts of a message as blocks of the Messages API.</summary>
/// <param name="writer">Stands in an array of blocks.</param>
internal sealed class MessagesContent(Utf8JsonWriter writer)
{
    private const string Pdf = "application/pdf";

    /// <summary>Whether the API would refuse the text for having nothing in it.</summary>
    public static bool IsEmpty(string? text) => string.IsNullOrWhiteSpace(text);

    /// <summary>The text of a part; null where it is something else.</summary>
    public static string? FindText(JsonElement part)
    {
        var type = part.GetProperty("type"u8);
        if (type.ValueEquals("text"u8)) return part.GetProperty("text"u8).GetString();
        return type.ValueEquals("refusal"u8) ? part.GetProperty("refusal"u8).GetString() : null;
    }

    /// <summary>Writes a block of text.</summary>
    /// <param name="text">Not empty.</param>
    /// <param name="part">Where it comes from: its <c>cache_control</c> is the API's own and goes with it.</param>
    public void WriteText(string text, JsonElement part)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "text"u8);
        writer.WriteString("text"u8, text);
        EndBlock(part);
    }

    /// <summary>Writes a block of an image or a document.</summary>
    /// <param name="part">Validated, and no text.</param>
    /// <param name="path">Names it in an error.</param>
    /// <returns>A 400 for what the API doesn't take; null otherwise.</returns>
    public ApiError? WriteMedia(JsonElement part, string path)
    {
        switch (part.GetProperty("type"u8).GetString())
        {
            case "image_url":
                return WriteImage(part, $"{path}.image_url.url");
            case "file":
                return WriteFile(part, $"{path}.file.file_data");
            default:
                return ApiErrors.ValueNotInMessages($"{path}.type", "it takes text, images and PDF files");
        }
    }

    private ApiError? WriteImage(JsonElement part, string path)
    {
        if (!part.GetProperty("image_url"u8).TryGet("url"u8, JsonValueKind.String, out var member)) return ApiErrors.MissingParameter(path);
        var url = member.GetString()!;
        if (!IsDataUrl(url))
        {
            if (!url.StartsWith("https://", StringComparison.OrdinalIgnoreCase)) return ApiErrors.ValueNotInMessages(path, "it takes https and data URLs");
            writer.WriteStartObject();
            writer.WriteString("type"u8, "image"u8);
            writer.WriteStartObject("source"u8);
            writer.WriteString("type"u8, "url"u8);
            writer.WriteString("url"u8, url);
            writer.WriteEndObject();
            EndBlock(part);
            return null;
        }
        if (!TryReadDataUrl(url, out var mediaType, out var start)
            || mediaType is not ("image/jpeg" or "image/png" or "image/gif" or "image/webp"))
        {
            return ApiErrors.ValueNotInMessages(path, "it takes JPEG, PNG, GIF and WebP in base64");
        }
        BeginBase64("image", mediaType, url.AsSpan(start));
        EndBlock(part);
        return null;
    }

    private ApiError? WriteFile(JsonElement part, string path)
    {
        var file = part.GetProperty("file"u8);
        if (!file.TryGet("file_data"u8, JsonValueKind.String, out var member)
            || !TryReadDataUrl(member.GetString()!, out var mediaType, out var start) || mediaType != Pdf)
        {
            return ApiErrors.ValueNotInMessages(path, "it takes PDF as a data URL in base64");
        }
        BeginBase64("document", mediaType, member.GetString().AsSpan(start));
        if (file.TryGet("filename"u8, JsonValueKind.String, out var name) && !name.ValueEquals(""u8)) writer.WriteString("title"u8, name.GetString());
        EndBlock(part);
        return null;
    }

    private void BeginBase64(string type, string mediaType, ReadOnlySpan<char> content)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, type);
        writer.WriteStartObject("source"u8);
        writer.WriteString("type"u8, "base64"u8);
        writer.WriteString("media_type"u8, mediaType);
        writer.WriteString("data"u8, content);
        writer.WriteEndObject();
    }

    private void EndBlock(JsonElement part)
    {
        if (part.TryGet("cache_control"u8, JsonValueKind.Object, out var cache))
        {
            writer.WritePropertyName("cache_control"u8);
            cache.WriteTo(writer);
        }
        writer.WriteEndObject();
    }

    private static bool IsDataUrl(string url) => url.StartsWith("data:", StringComparison.OrdinalIgnoreCase);

    // data:MEDIA-TYPE[;NAME=VALUE];base64,CONTENT
    private static bool TryReadDataUrl(string url, out string mediaType, out int start)
    {
        (mediaType, start) = ("", url.IndexOf(',', StringComparison.Ordinal) + 1);
        if (!IsDataUrl(url) || start == 0) return false;
        var head = url["data:".Length..(start - 1)];
        if (!head.EndsWith(";base64", StringComparison.OrdinalIgnoreCase)) return false;
        mediaType = head[..head.IndexOf(';', StringComparison.Ordinal)].Trim().ToLowerInvariant();
        // A name that many programs give it.
        if (mediaType == "image/jpg") mediaType = "image/jpeg";
        return true;
    }
}
