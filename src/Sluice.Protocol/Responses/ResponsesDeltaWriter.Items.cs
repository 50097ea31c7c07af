using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses;

/// <content>How items are opened and closed.</content>
internal sealed partial class ResponsesDeltaWriter
{
    private void OpenMessage(IEventOutput output, Open kind)
    {
        Close(output, "completed");
        AddItem(output, kind, "msg", "message"u8, ",\"role\":\"assistant\",\"content\":[]"u8);
        BeginEvent(output, "response.content_part.added"u8);
        WritePlace(output, "content_index"u8);
        EndEvent(output, kind == Open.Text
            ? ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}}\n\n"u8
            : ",\"part\":{\"type\":\"refusal\",\"refusal\":\"\"}}\n\n"u8);
    }

    private void OpenReasoning(IEventOutput output)
    {
        Close(output, "completed");
        _isSummary = _head.ReasoningIsSummary;
        if (_isSummary)
        {
            AddItem(output, Open.Reasoning, "rs", "reasoning"u8, ",\"summary\":[]"u8);
            BeginEvent(output, "response.reasoning_summary_part.added"u8);
            WritePlace(output, "summary_index"u8);
            EndEvent(output, ",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}}\n\n"u8);
            return;
        }
        AddItem(output, Open.Reasoning, "rs", "reasoning"u8, ",\"summary\":[],\"content\":[]"u8);
        BeginEvent(output, "response.content_part.added"u8);
        WritePlace(output, "content_index"u8);
        EndEvent(output, ",\"part\":{\"type\":\"reasoning_text\",\"text\":\"\"}}\n\n"u8);
    }

    private void Close(IEventOutput output, string status)
    {
        switch (_open)
        {
            case Open.Text:
                CloseText(output, status);
                break;
            case Open.Refusal:
                WriteDone(output, "response.refusal.done"u8, "content_index"u8, "refusal"u8);
                ClosePart(output, ",\"part\":{\"type\":\"refusal\",\"refusal\":\""u8, "\"}"u8);
                CloseItem(output, status, "message"u8, ",\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\""u8, "\"}]"u8);
                break;
            case Open.Reasoning:
                CloseReasoning(output, status, null, hasText: true);
                break;
            case Open.Function:
                WriteDone(output, "response.function_call_arguments.done"u8, default, "arguments"u8, _tool.Name);
                CloseCall(output, status, "function_call"u8, ",\"arguments\":\""u8);
                break;
            case Open.Custom:
                WriteDone(output, "response.custom_tool_call_input.done"u8, default, "input"u8);
                CloseCall(output, status, "custom_tool_call"u8, ",\"input\":\""u8);
                break;
            case Open.Search:
                BeginItem(status, "tool_search_call"u8);
                JsonText.WriteRaw(_item, SearchMembers(IsObject(_text.WrittenSpan) ? _text.WrittenSpan : "{}"u8));
                EndItem(output);
                break;
        }
    }

    private void CloseText(IEventOutput output, string status)
    {
        BeginEvent(output, "response.output_text.done"u8);
        WritePlace(output, "content_index"u8);
        JsonText.WriteRaw(output, ",\"text\":\""u8);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, "\",\"logprobs\":["u8);
        JsonText.WriteRaw(output, _logprobs.WrittenSpan);
        EndEvent(output, "]}\n\n"u8);
        BeginEvent(output, "response.content_part.done"u8);
        WritePlace(output, "content_index"u8);
        JsonText.WriteRaw(output, ",\"part\":"u8);
        WriteTextPart(output);
        EndEvent(output, "}\n\n"u8);
        BeginItem(status, "message"u8);
        JsonText.WriteRaw(_item, ",\"role\":\"assistant\",\"content\":["u8);
        WriteTextPart(_item);
        JsonText.WriteRaw(_item, "]"u8);
        EndItem(output);
    }

    private void WriteTextPart(IBufferWriter<byte> output)
    {
        JsonText.WriteRaw(output, "{\"type\":\"output_text\",\"text\":\""u8);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, "\",\"annotations\":[],\"logprobs\":["u8);
        JsonText.WriteRaw(output, _logprobs.WrittenSpan);
        JsonText.WriteRaw(output, "]}"u8);
    }

    private void CloseReasoning(IEventOutput output, string status, ReasoningBlob? blob, bool hasText)
    {
        if (hasText && _isSummary)
        {
            WriteDone(output, "response.reasoning_summary_text.done"u8, "summary_index"u8, "text"u8);
            BeginEvent(output, "response.reasoning_summary_part.done"u8);
            WritePlace(output, "summary_index"u8);
            JsonText.WriteRaw(output, ",\"part\":{\"type\":\"summary_text\",\"text\":\""u8);
            JsonText.WriteRaw(output, _text.WrittenSpan);
            EndEvent(output, "\"}}\n\n"u8);
        }
        else if (hasText)
        {
            WriteDone(output, "response.reasoning_text.done"u8, "content_index"u8, "text"u8);
            ClosePart(output, ",\"part\":{\"type\":\"reasoning_text\",\"text\":\""u8, "\"}"u8);
        }
        BeginItem(status, "reasoning"u8);
        JsonText.WriteRaw(_item, hasText && _isSummary ? ",\"summary\":[{\"type\":\"summary_text\",\"text\":\""u8 : ",\"summary\":["u8);
        if (hasText && _isSummary) JsonText.WriteRaw(_item, _text.WrittenSpan);
        JsonText.WriteRaw(_item, hasText && _isSummary ? "\"}]"u8 : "]"u8);
        if (hasText && !_isSummary)
        {
            JsonText.WriteRaw(_item, ",\"content\":[{\"type\":\"reasoning_text\",\"text\":\""u8);
            JsonText.WriteRaw(_item, _text.WrittenSpan);
            JsonText.WriteRaw(_item, "\"}]"u8);
        }
        if (_givesSeals && _head.Seal is { } seal)
        {
            JsonText.WriteRaw(_item, ",\"encrypted_content\":"u8);
            JsonText.WriteStringOrNull(_item, seal.Seal(blob ?? OwnBlob()));
        }
        EndItem(output);
    }

    // Reasoning without a form of its own is its text.
    private ReasoningBlob OwnBlob()
    {
        var json = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(json, "\""u8);
        JsonText.WriteRaw(json, _text.WrittenSpan);
        JsonText.WriteRaw(json, "\""u8);
        return new ReasoningBlob(ReasoningOrigins.Chat, json.WrittenMemory);
    }

    private void CloseCall(IEventOutput output, string status, ReadOnlySpan<byte> type, ReadOnlySpan<byte> member)
    {
        BeginItem(status, type);
        JsonText.WriteRaw(_item, CallMembers(default));
        JsonText.WriteRaw(_item, member);
        JsonText.WriteRaw(_item, _text.WrittenSpan);
        JsonText.WriteRaw(_item, "\""u8);
        EndItem(output);
    }

    private ReadOnlySpan<byte> CallMembers(ReadOnlySpan<byte> last)
    {
        var members = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(members, ",\"call_id\":"u8);
        JsonText.WriteStringOrNull(members, _callId);
        JsonText.WriteRaw(members, ",\"name\":"u8);
        JsonText.WriteStringOrNull(members, _tool.Name);
        if (_tool.Namespace is not null)
        {
            JsonText.WriteRaw(members, ",\"namespace\":"u8);
            JsonText.WriteStringOrNull(members, _tool.Namespace);
        }
        JsonText.WriteRaw(members, last);
        return members.WrittenSpan;
    }

    private ReadOnlySpan<byte> SearchMembers(ReadOnlySpan<byte> arguments)
    {
        var members = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(members, ",\"call_id\":"u8);
        JsonText.WriteStringOrNull(members, _callId);
        JsonText.WriteRaw(members, ",\"execution\":\"client\",\"arguments\":"u8);
        JsonText.WriteRaw(members, arguments);
        return members.WrittenSpan;
    }

    private static bool IsObject(ReadOnlySpan<byte> json)
    {
        try
        {
            var text = new JsonObjectText();
            return text.Read(json, 0) <= json.Length;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
