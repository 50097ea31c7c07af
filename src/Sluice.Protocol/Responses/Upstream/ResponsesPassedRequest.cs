using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>Makes of the body of a client that speaks the Responses API the one that an upstream of the same API gets.</summary>
public static class ResponsesPassedRequest
{
    private static readonly byte[] s_wish = Encoding.ASCII.GetBytes(ResponsesRequestWriter.SealedReasoning);

    // All that the API takes in a question for the tokens of a prompt, but for what the hub has put in its place.
    private static readonly string[] s_counted =
        ["model", "input", "instructions", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools", "truncation"];

    // Conversations are the hub's, which has put their items in place of these, and notes what it has left out.
    private static readonly string[] s_dropped = ["previous_response_id", "conversation", "background", "background_options", "sluice"];

    /// <summary>
    /// Writes the body with another model, without state at the upstream, and with the reasoning that is its own. Every other byte stays as
    /// the client wrote it. Reasoning that this hub has sealed for another server or model is left out, and all of it where
    /// <see cref="ResponsesOptions.HasReasoning"/> is false; what it led to is then without an id.
    /// </summary>
    /// <param name="body">A JSON object.</param>
    /// <param name="options">What the upstream is told; without <see cref="ResponsesOptions.IsStream"/> the wish for a stream is taken out.</param>
    /// <param name="output">Receives the new body.</param>
    public static void Write(ReadOnlySpan<byte> body, ResponsesOptions options, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        var root = new JsonObjectText();
        root.Read(body, 0);
        foreach (var name in (ReadOnlySpan<string>)["model", "store", "stream", "stream_options", "include", "input", .. s_dropped]) root.DropEarlier(body, Encoding.ASCII.GetBytes(name));
        foreach (var name in s_dropped) root.Drop(root.Find(body, Encoding.ASCII.GetBytes(name)));
        var model = root.Find(body, "model"u8);
        if (root.Text(body, model) != options.Model)
        {
            var text = new ArrayBufferWriter<byte>();
            JsonText.WriteStringOrNull(text, options.Model);
            root.Set(model, "\"model\""u8.ToArray(), text.WrittenMemory);
        }
        var store = root.Find(body, "store"u8);
        if (root.TypeOf(store) != JsonTokenType.False) root.Set(store, "\"store\""u8.ToArray(), "false"u8.ToArray());
        if (!options.IsStream)
        {
            root.Drop(root.Find(body, "stream"u8));
            root.Drop(root.Find(body, "stream_options"u8));
        }
        if (options.HasReasoning) AskForReasoning(body, root);
        else DropWish(body, root);
        var input = root.Find(body, "input"u8);
        if (root.TypeOf(input) == JsonTokenType.StartArray && EditInput(body, root.ValueStart(input), options) is { } edited) root.Set(input, default, edited);
        root.WriteTo(output, body);
    }

    /// <summary>Makes of a request the question how many tokens its prompt has.</summary>
    /// <param name="body">A request.</param>
    /// <param name="output">Receives the question.</param>
    public static void WriteCounted(ReadOnlySpan<byte> body, IBufferWriter<byte> output)
    {
        var root = new JsonObjectText();
        root.Read(body, 0);
        root.KeepOnly(body, s_counted);
        root.WriteTo(output, body);
    }

    private static void AskForReasoning(ReadOnlySpan<byte> body, JsonObjectText root)
    {
        const string Value = $"\"{ResponsesRequestWriter.SealedReasoning}\"";
        var include = root.Find(body, "include"u8);
        if (root.TypeOf(include) is JsonTokenType.None or JsonTokenType.Null)
        {
            root.Set(include, "\"include\""u8.ToArray(), Encoding.ASCII.GetBytes($"[{Value}]"));
            return;
        }
        if (root.TypeOf(include) != JsonTokenType.StartArray) return;
        var values = Encoding.UTF8.GetString(root.Value(body, include));
        if (values.Contains(Value, StringComparison.Ordinal)) return;
        var comma = string.IsNullOrWhiteSpace(values[1..^1]) ? "" : ",";
        root.Set(include, default, Encoding.UTF8.GetBytes($"{values[..^1]}{comma}{Value}]"));
    }

    // A model without reasoning refuses the wish too.
    private static void DropWish(ReadOnlySpan<byte> body, JsonObjectText root)
    {
        var include = root.Find(body, "include"u8);
        if (root.TypeOf(include) != JsonTokenType.StartArray) return;
        var (values, kept) = (new JsonArrayText(), new ArrayBufferWriter<byte>());
        values.Read(body, root.ValueStart(include));
        JsonText.WriteRaw(kept, "["u8);
        var hasWish = false;
        for (var i = 0; i < values.Count; i++)
        {
            var value = body[values[i].Start..values[i].End];
            if (value[1..^1].SequenceEqual(s_wish))
            {
                hasWish = true;
                continue;
            }
            if (kept.WrittenCount > 1) JsonText.WriteRaw(kept, ","u8);
            JsonText.WriteRaw(kept, value);
        }
        JsonText.WriteRaw(kept, "]"u8);
        if (!hasWish) return;
        if (kept.WrittenCount == 2) root.Drop(include);
        else root.Set(include, default, kept.WrittenMemory);
    }

    // Null where every item stays.
    private static ReadOnlyMemory<byte>? EditInput(ReadOnlySpan<byte> body, int start, ResponsesOptions options)
    {
        var items = new JsonArrayText();
        items.Read(body, start);
        var item = new JsonObjectText();
        var written = new ArrayBufferWriter<byte>();
        var (isEdited, isUnthought) = (false, false);
        JsonText.WriteRaw(written, "["u8);
        for (var i = 0; i < items.Count; i++)
        {
            var json = body[items[i].Start..items[i].End];
            var kept = items[i].Type != JsonTokenType.StartObject || Edit(body, items[i].Start, item, options, ref isUnthought, ref json);
            isEdited |= !kept || json.Length != items[i].End - items[i].Start || !json.Overlaps(body);
            if (!kept) continue;
            if (written.WrittenCount > 1) JsonText.WriteRaw(written, ","u8);
            JsonText.WriteRaw(written, json);
        }
        JsonText.WriteRaw(written, "]"u8);
        if (!isEdited) return null;
        return written.WrittenMemory;
    }

    // False for an item that is left out.
    private static bool Edit(
        ReadOnlySpan<byte> body, int start, JsonObjectText item, ResponsesOptions options, scoped ref bool isUnthought, ref ReadOnlySpan<byte> json)
    {
        item.Read(body, start);
        var type = item.StringBytes(body, "type"u8);
        if (!type.SequenceEqual("reasoning"u8))
        {
            if (isUnthought) json = WithoutId(body, item, type, ref isUnthought, json);
            return true;
        }
        isUnthought = true;
        if (!options.HasReasoning) return false;
        var content = item.Text(body, item.Find(body, "encrypted_content"u8));
        // The upstream has kept nothing that it could find by its id.
        if (string.IsNullOrEmpty(content) && !item.HasSubstance(item.Find(body, "content"u8)) && item.Find(body, "id"u8) >= 0) return false;
        isUnthought = false;
        if (content is null || !content.StartsWith(ReasoningSeal.PrefixText, StringComparison.Ordinal)) return true;
        isUnthought = true;
        if (options.Seal is not { } seal || !seal.TryOpen(content, out var blob) || blob.Origin != options.Origin) return false;
        isUnthought = false;
        json = blob.Json.Span;
        return true;
    }

    // By its id the API knows that an item came of reasoning, and refuses it without.
    private static ReadOnlySpan<byte> WithoutId(ReadOnlySpan<byte> body, JsonObjectText item, ReadOnlySpan<byte> type, scoped ref bool isUnthought, ReadOnlySpan<byte> json)
    {
        var isAssistants = type.SequenceEqual("function_call"u8) || type.SequenceEqual("custom_tool_call"u8) || type.SequenceEqual("tool_search_call"u8)
            || item.StringBytes(body, "role"u8).SequenceEqual("assistant"u8);
        // What the client says begins another turn, with reasoning of its own.
        isUnthought = isAssistants;
        var id = item.Find(body, "id"u8);
        if (!isAssistants || id < 0) return json;
        item.Drop(id);
        var written = new ArrayBufferWriter<byte>(json.Length);
        item.WriteTo(written, body);
        return written.WrittenSpan;
    }
}
