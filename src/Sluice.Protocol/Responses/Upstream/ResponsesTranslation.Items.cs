using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses.Upstream;

/// <content>What items say, in pieces and when they are done.</content>
public sealed partial class ResponsesTranslation
{
    private void BeginCall(ResponsesItem item, string id, string name, IEventOutput output)
    {
        EndText(output);
        item.IsCallBegun = true;
        _call = item;
        Call(output, 0, CallKindOf(item), id, name);
    }

    private static CallKind CallKindOf(ResponsesItem item) => item.Kind == ResponsesItemKind.Custom ? CallKind.Custom : CallKind.Function;

    private void CloseItem(long index, ReadOnlySpan<byte> json, IEventOutput output)
    {
        var reader = new Utf8JsonReader(json, JsonText.Reading);
        using var document = JsonDocument.ParseValue(ref reader);
        CloseItem(index, document.RootElement, output);
    }

    private void CloseItem(long index, JsonElement json, IEventOutput output)
    {
        _doneIndexes.Add(index);
        if (json.TryGet("id"u8, JsonValueKind.String, out var id)) _doneIds.Add(id.GetString()!);
        _items.Remove(index, out var item);
        item ??= new ResponsesItem(ResponsesItem.KindOf(json.TryGet("type"u8, JsonValueKind.String, out var type) ? type.GetString() : null));
        switch (item.Kind)
        {
            case ResponsesItemKind.Message:
                PassParts(item, json, "content"u8, output);
                EndText(output);
                break;
            case ResponsesItemKind.Reasoning:
                PassParts(item, json, "summary"u8, output);
                PassParts(item, json, "content"u8, output);
                if (json.TryGet("encrypted_content"u8, JsonValueKind.String, out var content) && !content.ValueEquals(""u8))
                    EndReasoning(output, 0, Encoding.UTF8.GetBytes(json.GetRawText()));
                break;
            case ResponsesItemKind.Function or ResponsesItemKind.Custom:
                CloseCall(item, json, output);
                break;
        }
        if (item == _call) _call = null;
    }

    private void CloseCall(ResponsesItem item, JsonElement json, IEventOutput output)
    {
        if (!item.IsCallBegun)
        {
            var id = Text(json, "call_id"u8) ?? Text(json, "id"u8);
            // What has no name can't be called.
            if (id is null || Text(json, "name"u8) is not { } name) throw new JsonException("Not a call.");
            BeginCall(item, id, name, output);
        }
        var isFunction = item.Kind == ResponsesItemKind.Function;
        var input = json.TryGet(isFunction ? "arguments"u8 : "input"u8, JsonValueKind.String, out var member) ? member.GetString()! : "";
        // Together the pieces of a function's arguments are JSON, also of a call without any.
        if (isFunction && input.Length == 0 && !item.HasPieces) input = "{}";
        Pass(item, ResponsesPart.Input, 0, Encoding.UTF8.GetBytes(input), isWhole: true, default, output);
    }

    private void PassParts(ResponsesItem item, JsonElement json, ReadOnlySpan<byte> name, IEventOutput output)
    {
        if (!json.TryGet(name, JsonValueKind.Array, out var parts)) return;
        var index = 0L;
        foreach (var part in parts.EnumerateArray())
        {
            var kind = Text(part, "type"u8) switch
            {
                "output_text" or "text" when item.Kind == ResponsesItemKind.Message => ResponsesPart.Text,
                "refusal" => ResponsesPart.Refusal,
                "summary_text" => ResponsesPart.Summary,
                "reasoning_text" or "text" => ResponsesPart.Thought,
                _ => (ResponsesPart?)null,
            };
            if (kind is { } known && Text(part, known == ResponsesPart.Refusal ? "refusal"u8 : "text"u8) is { } text)
            {
                var logprobs = known == ResponsesPart.Text && !item.HasBegun(known, index) && part.TryGet("logprobs"u8, JsonValueKind.Array, out var tokens) ? ReadLogprobs(tokens) : default;
                Pass(item, known, index, Encoding.UTF8.GetBytes(text), isWhole: true, logprobs, output);
            }
            index++;
        }
    }

    // Of a whole only what has not been passed on.
    private void Pass(
        ResponsesItem item, ResponsesPart part, long index, ReadOnlySpan<byte> utf8, bool isWhole, ReadOnlySpan<DeltaLogprob> logprobs, IEventOutput output)
    {
        if (isWhole) utf8 = utf8[(int)long.Min(item.LengthOf(part, index), utf8.Length)..];
        if (utf8.IsEmpty) return;
        // Paragraphs, which nothing else keeps apart in other dialects.
        if (part is ResponsesPart.Summary or ResponsesPart.Thought && item.HasPieces && !item.HasBegun(part, index)) Reasoning(output, 0, "\n\n"u8);
        item.Add(part, index, utf8.Length);
        switch (part)
        {
            case ResponsesPart.Text when _stops is not null:
                Text(output, 0, _stops.Add(utf8), default);
                break;
            case ResponsesPart.Text:
                Text(output, 0, utf8, logprobs);
                break;
            case ResponsesPart.Refusal:
                Refusal(output, 0, utf8);
                break;
            case ResponsesPart.Input:
                Input(output, 0, CallKindOf(item), utf8);
                break;
            default:
                Reasoning(output, 0, utf8);
                break;
        }
    }

    private void EndText(IEventOutput output)
    {
        if (_stops is not null) Text(output, 0, _stops.End(), default);
    }

    // Of an event with a text that was passed on piece by piece, so were they.
    private ReadOnlySpan<DeltaLogprob> ReadLogprobs(ReadOnlySpan<byte> data, bool isPassed)
    {
        var member = _root.Find(data, "logprobs"u8);
        if (isPassed || !_root.HasSubstance(member) || _root.TypeOf(member) != JsonTokenType.StartArray) return default;
        var reader = new Utf8JsonReader(_root.Value(data, member), JsonText.Reading);
        using var document = JsonDocument.ParseValue(ref reader);
        return ReadLogprobs(document.RootElement);
    }

    private static ReadOnlySpan<DeltaLogprob> ReadLogprobs(JsonElement tokens)
    {
        var read = new List<DeltaLogprob>();
        foreach (var token in tokens.EnumerateArray()) read.Add(LogprobText.Read(token));
        return read.ToArray();
    }

    private static string? Text(JsonElement json, ReadOnlySpan<byte> name) =>
        json.TryGet(name, JsonValueKind.String, out var value) && value.GetString() is { Length: > 0 } text ? text : null;
}
