using System.Text.Json;
using Sluice.Protocol.Answers;

namespace Sluice.Protocol.Messages;

/// <summary>Writes the turns of a conversation as messages of a chat request.</summary>
internal static class MessagesTurnWriter
{
    /// <param name="writer">Stands in the body.</param>
    /// <param name="conversation">What was read.</param>
    /// <param name="form">Who reads it.</param>
    public static void Write(Utf8JsonWriter writer, MessagesTurns conversation, NeutralForm form)
    {
        writer.WriteStartArray("messages"u8);
        if (conversation.System is { } system)
        {
            writer.WriteStartObject();
            writer.WriteString("role"u8, "system"u8);
            writer.WriteString("content"u8, system);
            writer.WriteEndObject();
        }
        foreach (var turn in conversation.Turns)
        {
            switch (turn.Role)
            {
                case "assistant":
                    WriteAssistant(writer, turn);
                    break;
                case "user":
                    WriteUser(writer, turn, form);
                    break;
                default:
                    writer.WriteStartObject();
                    writer.WriteString("role"u8, "developer"u8);
                    writer.WriteString("content"u8, Join(turn.Parts));
                    writer.WriteEndObject();
                    break;
            }
        }
        writer.WriteEndArray();
    }

    private static string Join(List<MessagesPart> parts) => string.Join('\n', parts.Where(static part => part.Text is not null).Select(static part => part.Text));

    private static void WriteAssistant(Utf8JsonWriter writer, MessagesTurn turn)
    {
        writer.WriteStartObject();
        writer.WriteString("role"u8, "assistant"u8);
        var text = Join(turn.Parts);
        if (text.Length > 0 || turn.Calls.Count == 0) writer.WriteString("content"u8, text);
        else writer.WriteNull("content"u8);
        if (turn.Reasoning.Length > 0) writer.WriteString("reasoning_content"u8, turn.Reasoning.ToString());
        if (turn.Calls.Count > 0)
        {
            writer.WriteStartArray("tool_calls"u8);
            foreach (var call in turn.Calls)
            {
                writer.WriteStartObject();
                writer.WriteString("id"u8, call.Id);
                writer.WriteString("type"u8, "function"u8);
                writer.WriteStartObject("function"u8);
                writer.WriteString("name"u8, call.Name);
                writer.WriteString("arguments"u8, call.Input);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
        }
        if (turn.Thinking.Count + turn.Items.Count > 0)
        {
            writer.WriteStartObject("sluice"u8);
            WriteRaw(writer, "thinking", turn.Thinking);
            WriteRaw(writer, "reasoning", turn.Items);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
    }

    private static void WriteRaw(Utf8JsonWriter writer, string name, List<ReadOnlyMemory<byte>> blobs)
    {
        if (blobs.Count == 0) return;
        writer.WriteStartArray(name);
        foreach (var blob in blobs) writer.WriteRawValue(blob.Span, skipInputValidation: true);
        writer.WriteEndArray();
    }

    private static void WriteUser(Utf8JsonWriter writer, MessagesTurn turn, NeutralForm form)
    {
        var parts = new List<MessagesPart>();
        foreach (var result in turn.Results)
        {
            writer.WriteStartObject();
            writer.WriteString("role"u8, "tool"u8);
            writer.WriteString("tool_call_id"u8, result.Id);
            var media = result.Parts.FindAll(static part => part.Text is null);
            if (form.KeepsMediaInResults && media.Count > 0) WriteParts(writer, result.Parts);
            else writer.WriteString("content"u8, Join(result.Parts));
            writer.WriteEndObject();
            if (form.KeepsMediaInResults) continue;
            foreach (var part in media)
            {
                parts.Add(new MessagesPart(part.ImageUrl is null ? $"[file of {result.Id}]" : $"[image of {result.Id}]"));
                parts.Add(part);
            }
        }
        parts.AddRange(turn.Parts);
        if (parts.Count == 0) return;
        writer.WriteStartObject();
        writer.WriteString("role"u8, "user"u8);
        if (parts is [{ Text: { } only }]) writer.WriteString("content"u8, only);
        else WriteParts(writer, parts);
        writer.WriteEndObject();
    }

    private static void WriteParts(Utf8JsonWriter writer, List<MessagesPart> parts)
    {
        writer.WriteStartArray("content"u8);
        foreach (var part in parts)
        {
            writer.WriteStartObject();
            if (part.Text is { } text)
            {
                writer.WriteString("type"u8, "text"u8);
                writer.WriteString("text"u8, text);
            }
            else if (part.ImageUrl is { } url)
            {
                writer.WriteString("type"u8, "image_url"u8);
                writer.WriteStartObject("image_url"u8);
                writer.WriteString("url"u8, url);
                writer.WriteEndObject();
            }
            else
            {
                writer.WriteString("type"u8, "file"u8);
                writer.WriteStartObject("file"u8);
                writer.WriteString("file_data"u8, part.FileData);
                writer.WriteString("filename"u8, part.FileName ?? "document.pdf");
                writer.WriteEndObject();
            }
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }
}
