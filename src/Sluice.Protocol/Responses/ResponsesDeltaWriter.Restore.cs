using System.Text;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses;

/// <content>How an answer is taken up that another writer has begun: from its events.</content>
internal sealed partial class ResponsesDeltaWriter
{
    /// <inheritdoc/>
    public override void Restore(EventBuffer past)
    {
        ArgumentNullException.ThrowIfNull(past);
        _number = past.Count;
        for (var i = 0; i < past.Count; i++)
        {
            var data = past[i].IndexOf("data: "u8);
            if (data < 0) continue;
            var reader = new Utf8JsonReader(past[i][(data + "data: "u8.Length)..], JsonText.Reading);
            using var document = JsonDocument.ParseValue(ref reader);
            Restore(document.RootElement);
        }
    }

    /// <inheritdoc/>
    public override void PassCall(int choice, string id, string name)
    {
        if (_open == Open.Search) _text.ResetWrittenCount();
    }

    /// <inheritdoc/>
    /// <remarks>The arguments of a search are an object in its item, and no event has a part of them.</remarks>
    public override void PassInput(int choice, ReadOnlySpan<byte> utf8)
    {
        if (_open == Open.Search) JsonText.WriteRaw(_text, utf8);
    }

    // What an event of this writer's own changes.
    private void Restore(JsonElement data)
    {
        switch (data.GetProperty("type"u8).GetString())
        {
            case "response.output_item.added":
                RestoreItem(data.GetProperty("item"u8));
                break;
            case "response.content_part.added" when data.GetProperty("part"u8).GetProperty("type"u8).ValueEquals("refusal"u8):
                _open = Open.Refusal;
                break;
            case "response.reasoning_summary_part.added":
                _isSummary = true;
                break;
            case "response.output_item.done":
                KeepItem(Encoding.UTF8.GetBytes(data.GetProperty("item"u8).GetRawText()));
                break;
            case "response.output_text.delta":
                RestoreText(data);
                if (!data.TryGet("logprobs"u8, JsonValueKind.Array, out var logprobs)) break;
                foreach (var token in logprobs.EnumerateArray())
                {
                    if (_logprobs.WrittenCount > 0) JsonText.WriteRaw(_logprobs, ","u8);
                    LogprobText.Write(_logprobs, [LogprobText.Read(token)]);
                }
                break;
            case "response.refusal.delta" or "response.reasoning_text.delta" or "response.reasoning_summary_text.delta"
                or "response.function_call_arguments.delta" or "response.custom_tool_call_input.delta":
                RestoreText(data);
                break;
        }
    }

    private void RestoreItem(JsonElement item)
    {
        _itemId = item.GetProperty("id"u8).GetString()!;
        _text.ResetWrittenCount();
        _logprobs.ResetWrittenCount();
        _isSummary = false;
        _open = item.GetProperty("type"u8).GetString() switch
        {
            "message" => Open.Text,
            "reasoning" => Open.Reasoning,
            "custom_tool_call" => Open.Custom,
            "tool_search_call" => Open.Search,
            _ => Open.Function,
        };
        if (!item.TryGet("call_id"u8, JsonValueKind.String, out var call)) return;
        _callId = call.GetString()!;
        var space = item.TryGet("namespace"u8, JsonValueKind.String, out var named) ? named.GetString() : null;
        var name = item.TryGet("name"u8, JsonValueKind.String, out var member) ? member.GetString()! : ResponsesTools.SearchName;
        _tool = _tools.Find(ResponsesTools.Flatten(space, name)) ?? s_unknown with { Namespace = space, Name = name };
    }

    private void RestoreText(JsonElement data) => JsonText.WriteEscaped(_text, Encoding.UTF8.GetBytes(JsonStrings.Read(data.GetProperty("delta"u8))));
}
