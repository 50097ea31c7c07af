using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Makes of a client's request the one that an upstream of the same API gets. Every byte stays but for the model's name, <c>stream</c>, and the
/// hub's own signatures: each becomes the block that it stands for, or goes with its block where another upstream made that.
/// </summary>
public static class MessagesPassedRequest
{
    // What a prompt is made of.
    private static readonly string[] s_counted = ["model", "system", "messages", "tools", "tool_choice", "thinking", "output_config", "cache_control"];

    private static readonly byte[] s_stream = "\"stream\""u8.ToArray();

    /// <summary>Writes the body.</summary>
    /// <param name="body">A JSON object that names a model.</param>
    /// <param name="model">The model's name at the upstream.</param>
    /// <param name="isStream">Whether events are asked for; null leaves it out.</param>
    /// <param name="form">Who gets it, and what opens its signatures.</param>
    /// <param name="output">Receives the new body.</param>
    /// <param name="leavesOutThinking">Whether earlier thinking, the client's own too, goes, because the upstream has refused some; then none is asked for.</param>
    public static void Write(
        ReadOnlySpan<byte> body, string model, bool? isStream, NeutralForm form, IBufferWriter<byte> output, bool leavesOutThinking = false)
    {
        ArgumentNullException.ThrowIfNull(form);
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        var root = new JsonObjectText();
        root.Read(body, 0);
        root.DropEarlier(body, "model"u8);
        root.DropEarlier(body, "stream"u8);
        var member = root.Find(body, "model"u8);
        if (root.Text(body, member) != model)
        {
            var name = new ArrayBufferWriter<byte>();
            JsonText.WriteStringOrNull(name, model);
            root.Set(member, "\"model\""u8.ToArray(), name.WrittenMemory);
        }
        var stream = root.Find(body, "stream"u8);
        if (isStream is null) root.Drop(stream);
        else if (isStream.Value != (root.TypeOf(stream) == JsonTokenType.True)) root.Set(stream, s_stream, isStream.Value ? "true"u8.ToArray() : "false"u8.ToArray());
        var messages = root.Find(body, "messages"u8);
        if (leavesOutThinking) DropWish(body, root);
        // Most conversations have none of ours.
        var isTouched = leavesOutThinking || (form.Seal is not null && body.IndexOf(ReasoningSeal.Prefix) >= 0);
        if (isTouched && root.TypeOf(messages) == JsonTokenType.StartArray)
            root.Set(messages, default, WriteMessages(body, root.ValueStart(messages), form, leavesOutThinking));
        root.WriteTo(output, body);
    }

    /// <summary>Completes a request whose prompt is only counted: it needs no limit of tokens.</summary>
    public static ReadOnlyMemory<byte> WithMaxTokens(ReadOnlyMemory<byte> body)
    {
        var json = body.Span;
        if (json.StartsWith("\uFEFF"u8)) json = json["\uFEFF"u8.Length..];
        var root = new JsonObjectText();
        root.Read(json, 0);
        root.DropEarlier(json, "max_tokens"u8);
        root.Set(root.Find(json, "max_tokens"u8), "\"max_tokens\""u8.ToArray(), "1"u8.ToArray());
        var output = new ArrayBufferWriter<byte>(json.Length + 16);
        root.WriteTo(output, json);
        return output.WrittenMemory;
    }

    /// <summary>Makes of a request the question how many tokens its prompt has, which no limit and nothing about the answer belongs to.</summary>
    /// <param name="body">A request.</param>
    /// <param name="isPassed">Whether the client wrote it in this dialect, so that all else stays: features may be counted that are not known here.</param>
    /// <param name="output">Receives the question.</param>
    public static void WriteCounted(ReadOnlySpan<byte> body, bool isPassed, IBufferWriter<byte> output)
    {
        var root = new JsonObjectText();
        root.Read(body, 0);
        root.DropEarlier(body, "max_tokens"u8);
        if (isPassed) root.Drop(root.Find(body, "max_tokens"u8));
        else root.KeepOnly(body, s_counted);
        root.WriteTo(output, body);
    }

    // A turn that has called tools can't go on thinking without what it thought; and what clears thinking needs some.
    private static void DropWish(ReadOnlySpan<byte> body, JsonObjectText root)
    {
        var thinking = root.Find(body, "thinking"u8);
        if (root.TypeOf(thinking) == JsonTokenType.StartObject) root.Set(thinking, default, "{\"type\":\"disabled\"}"u8.ToArray());
        var management = root.Find(body, "context_management"u8);
        if (management >= 0 && root.Value(body, management).IndexOf("\"clear_thinking"u8) >= 0) root.Drop(management);
    }

    private static ReadOnlyMemory<byte> WriteMessages(ReadOnlySpan<byte> body, int start, NeutralForm form, bool leavesOutThinking)
    {
        var (elements, message) = (new JsonArrayText(), new JsonObjectText());
        var output = new ArrayBufferWriter<byte>();
        elements.Read(body, start);
        JsonText.WriteRaw(output, "["u8);
        var isFirst = true;
        for (var i = 0; i < elements.Count; i++)
        {
            var (from, end, type) = elements[i];
            ReadOnlyMemory<byte> written = body[from..end].ToArray();
            if (type == JsonTokenType.StartObject)
            {
                message.Read(body, from);
                var content = message.Find(body, "content"u8);
                var isTouched = content >= 0 && (leavesOutThinking
                    ? message.StringBytes(body, "role"u8).SequenceEqual("assistant"u8) && message.Value(body, content).IndexOf("thinking\""u8) >= 0
                    : message.Value(body, content).IndexOf(ReasoningSeal.Prefix) >= 0);
                if (message.TypeOf(content) == JsonTokenType.StartArray && isTouched)
                {
                    // A message of nothing else is none any more, and the API merges its neighbours.
                    if (WriteContent(body, message.ValueStart(content), form, leavesOutThinking) is not { } blocks) continue;
                    message.Set(content, default, blocks);
                    var edited = new ArrayBufferWriter<byte>();
                    message.WriteTo(edited, body);
                    written = edited.WrittenMemory;
                }
            }
            if (!isFirst) JsonText.WriteRaw(output, ","u8);
            isFirst = false;
            JsonText.WriteRaw(output, written.Span);
        }
        JsonText.WriteRaw(output, "]"u8);
        return output.WrittenMemory;
    }

    // Null where nothing is left.
    private static ReadOnlyMemory<byte>? WriteContent(ReadOnlySpan<byte> body, int start, NeutralForm form, bool leavesOutThinking)
    {
        var (elements, block) = (new JsonArrayText(), new JsonObjectText());
        var output = new ArrayBufferWriter<byte>();
        elements.Read(body, start);
        JsonText.WriteRaw(output, "["u8);
        for (var i = 0; i < elements.Count; i++)
        {
            var (from, end, type) = elements[i];
            ReadOnlySpan<byte> written = body[from..end];
            if (type == JsonTokenType.StartObject)
            {
                block.Read(body, from);
                var kind = block.StringBytes(body, "type"u8);
                if (leavesOutThinking && (kind.SequenceEqual("thinking"u8) || kind.SequenceEqual("redacted_thinking"u8))) continue;
                // Ours have no escapes.
                var signature = Encoding.UTF8.GetString(block.StringBytes(body, "signature"u8));
                if (form.Seal is not null && form.Seal.TryOpen(signature, out var blob))
                {
                    if (blob.Origin != form.Origin) continue;
                    written = blob.Json.Span;
                }
                // Ours, and made with a key that is gone.
                else if (signature.StartsWith(ReasoningSeal.PrefixText, StringComparison.Ordinal)) continue;
            }
            if (output.WrittenCount > 1) JsonText.WriteRaw(output, ","u8);
            JsonText.WriteRaw(output, written);
        }
        if (output.WrittenCount == 1) return null;
        JsonText.WriteRaw(output, "]"u8);
        return output.WrittenMemory;
    }
}
