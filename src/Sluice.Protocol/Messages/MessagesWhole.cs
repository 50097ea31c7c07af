using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>A message that an upstream gave as one object: passed on as it is, or taken apart into the events that would have made it.</summary>
internal static class MessagesWhole
{
    /// <summary>Reads an object.</summary>
    /// <param name="json">May be anything.</param>
    /// <param name="answer">What is known of the answer.</param>
    /// <param name="whole">The message with the hub's id, and with its name for the model where it has another.</param>
    /// <returns>False where it is no message.</returns>
    public static bool TryRead(ReadOnlySpan<byte> json, RelayOptions answer, out WholeAnswer whole)
    {
        whole = null!;
        json = json.Trim(" \t\r\n\uFEFF"u8);
        if (!Utf8.IsValid(json)) return false;
        try
        {
            var root = new JsonObjectText();
            if (root.Read(json, 0) != json.Length || root.Text(json, root.Find(json, "type"u8)) != "message") return false;
            if (!HasBlocks(json, root)) return false;
            var usage = new MessagesUsage();
            var member = root.Find(json, "usage"u8);
            if (root.TypeOf(member) == JsonTokenType.StartObject) usage.Read(json, root.ValueStart(member));
            SetIdentity(json, root, answer);
            var output = new ArrayBufferWriter<byte>(json.Length + 64);
            root.WriteTo(output, json);
            var estimate = new AnswerUsage(answer.EstimatedPromptTokens, 0, AnswerRelay.EstimateTokens(json.Length / 2));
            whole = new WholeAnswer(output.WrittenMemory, usage.IsKnown ? usage.Counts : estimate, !usage.IsKnown);
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Gives a message the hub's id, and the hub's name for the model unless the upstream's stays.</summary>
    public static void SetIdentity(ReadOnlySpan<byte> json, JsonObjectText message, RelayOptions answer)
    {
        message.Set(message.Find(json, "id"u8), "\"id\""u8.ToArray(), Quote(answer.Id));
        var model = message.Find(json, "model"u8);
        if (answer.KeepsUpstreamModel && message.TypeOf(model) == JsonTokenType.String && message.HasSubstance(model)) return;
        message.Set(model, "\"model\""u8.ToArray(), Quote(answer.Model));
    }

    /// <summary>Writes a message as events.</summary>
    /// <param name="json">The message.</param>
    /// <param name="output">Receives the bytes.</param>
    /// <param name="endEvent">Called behind each event.</param>
    /// <exception cref="JsonException">It is not JSON.</exception>
    public static void WriteEvents<T>(ReadOnlySpan<byte> json, T output, Action<T> endEvent)
        where T : IBufferWriter<byte>
    {
        // On one line, and outside of strings, where alone line ends may be, they are white space.
        var line = json.ToArray();
        foreach (ref var part in line.AsSpan()) part = part is (byte)'\r' or (byte)'\n' ? (byte)' ' : part;
        var (root, elements) = (new JsonObjectText(), new JsonArrayText());
        root.Read(line, 0);
        var content = root.Find(line, "content"u8);
        elements.Read(line, root.ValueStart(content));
        var reason = ValueOf(root, line, "stop_reason"u8);
        var sequence = ValueOf(root, line, "stop_sequence"u8);
        var usage = ValueOf(root, line, "usage"u8);
        root.Set(content, default, "[]"u8.ToArray());
        Clear(root, line, "stop_reason"u8);
        Clear(root, line, "stop_sequence"u8);
        var details = ValueOf(root, line, "stop_details"u8);
        Clear(root, line, "stop_details"u8);
        JsonText.WriteRaw(output, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"u8);
        root.WriteTo(output, line);
        End(output, "}\n\n"u8, endEvent);
        for (var i = 0; i < elements.Count; i++) WriteBlock(line, elements[i].Start, i, output, endEvent);
        JsonText.WriteRaw(output, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"u8);
        JsonText.WriteRaw(output, reason.IsEmpty ? "null"u8 : reason);
        JsonText.WriteRaw(output, ",\"stop_sequence\":"u8);
        JsonText.WriteRaw(output, sequence.IsEmpty ? "null"u8 : sequence);
        if (!details.IsEmpty)
        {
            JsonText.WriteRaw(output, ",\"stop_details\":"u8);
            JsonText.WriteRaw(output, details);
        }
        JsonText.WriteRaw(output, "},\"usage\":"u8);
        JsonText.WriteRaw(output, usage.IsEmpty ? "{\"output_tokens\":0}"u8 : usage);
        End(output, "}\n\n"u8, endEvent);
        End(output, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8, endEvent);
    }

    private static bool HasBlocks(ReadOnlySpan<byte> json, JsonObjectText root)
    {
        var content = root.Find(json, "content"u8);
        if (root.TypeOf(content) != JsonTokenType.StartArray) return false;
        var elements = new JsonArrayText();
        elements.Read(json, root.ValueStart(content));
        for (var i = 0; i < elements.Count; i++)
        {
            if (elements[i].Type != JsonTokenType.StartObject) return false;
        }
        return true;
    }

    private static void WriteBlock<T>(byte[] line, int start, int index, T output, Action<T> endEvent)
        where T : IBufferWriter<byte>
    {
        var block = new JsonObjectText();
        block.Read(line, start);
        var input = block.Find(line, "input"u8);
        var isCall = block.Text(line, block.Find(line, "type"u8)) == "tool_use" && block.TypeOf(input) == JsonTokenType.StartObject && block.HasSubstance(input);
        var text = block.StringBytes(line, "text"u8);
        var thinking = block.StringBytes(line, "thinking"u8);
        var signature = block.StringBytes(line, "signature"u8);
        foreach (var name in (ReadOnlySpan<string>)["text", "thinking", "signature"])
        {
            var member = block.Find(line, System.Text.Encoding.ASCII.GetBytes(name));
            if (block.TypeOf(member) == JsonTokenType.String) block.Set(member, default, "\"\""u8.ToArray());
        }
        if (isCall) block.Set(input, default, "{}"u8.ToArray());
        JsonText.WriteRaw(output, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"u8);
        JsonText.WriteInteger(output, index);
        JsonText.WriteRaw(output, ",\"content_block\":"u8);
        block.WriteTo(output, line);
        End(output, "}\n\n"u8, endEvent);
        WriteDelta(output, index, "\"text_delta\",\"text\":\""u8, text, endEvent);
        WriteDelta(output, index, "\"thinking_delta\",\"thinking\":\""u8, thinking, endEvent);
        WriteDelta(output, index, "\"signature_delta\",\"signature\":\""u8, signature, endEvent);
        if (isCall)
        {
            var escaped = new ArrayBufferWriter<byte>();
            JsonText.WriteEscaped(escaped, block.Value(line, input));
            WriteDelta(output, index, "\"input_json_delta\",\"partial_json\":\""u8, escaped.WrittenSpan, endEvent);
        }
        JsonText.WriteRaw(output, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"u8);
        JsonText.WriteInteger(output, index);
        End(output, "}\n\n"u8, endEvent);
    }

    private static void WriteDelta<T>(T output, int index, ReadOnlySpan<byte> delta, ReadOnlySpan<byte> escaped, Action<T> endEvent)
        where T : IBufferWriter<byte>
    {
        if (escaped.IsEmpty) return;
        JsonText.WriteRaw(output, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"u8);
        JsonText.WriteInteger(output, index);
        JsonText.WriteRaw(output, ",\"delta\":{\"type\":"u8);
        JsonText.WriteRaw(output, delta);
        JsonText.WriteRaw(output, escaped);
        End(output, "\"}}\n\n"u8, endEvent);
    }

    private static void End<T>(T output, ReadOnlySpan<byte> end, Action<T> endEvent)
        where T : IBufferWriter<byte>
    {
        JsonText.WriteRaw(output, end);
        endEvent(output);
    }

    private static ReadOnlySpan<byte> ValueOf(JsonObjectText root, byte[] json, ReadOnlySpan<byte> name)
    {
        var member = root.Find(json, name);
        return member < 0 ? default : root.Value(json, member);
    }

    private static void Clear(JsonObjectText root, byte[] json, ReadOnlySpan<byte> name)
    {
        var member = root.Find(json, name);
        if (member >= 0) root.Set(member, default, "null"u8.ToArray());
    }

    private static ReadOnlyMemory<byte> Quote(string text)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(output, text);
        return output.WrittenMemory;
    }
}
