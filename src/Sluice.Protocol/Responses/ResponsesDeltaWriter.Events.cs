using System.Buffers;
using System.Globalization;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses;

/// <content>How items and events are written.</content>
internal sealed partial class ResponsesDeltaWriter
{
    private void AddItem(IEventOutput output, Open kind, string idPrefix, ReadOnlySpan<byte> type, ReadOnlySpan<byte> members)
    {
        _open = kind;
        _text.ResetWrittenCount();
        _logprobs.ResetWrittenCount();
        _itemId = string.Create(CultureInfo.InvariantCulture, $"{idPrefix}_{_idBase}_{_index}");
        BeginEvent(output, "response.output_item.added"u8);
        JsonText.WriteRaw(output, ",\"output_index\":"u8);
        JsonText.WriteInteger(output, _index);
        JsonText.WriteRaw(output, ",\"item\":"u8);
        WriteItemHead(output, "in_progress", type);
        JsonText.WriteRaw(output, members);
        EndEvent(output, "}}\n\n"u8);
    }

    private void WriteItemHead(IBufferWriter<byte> output, string status, ReadOnlySpan<byte> type)
    {
        JsonText.WriteRaw(output, "{\"id\":"u8);
        JsonText.WriteStringOrNull(output, _itemId);
        JsonText.WriteRaw(output, ",\"type\":\""u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\",\"status\":"u8);
        JsonText.WriteStringOrNull(output, status);
    }

    private void BeginItem(string status, ReadOnlySpan<byte> type)
    {
        _item.ResetWrittenCount();
        WriteItemHead(_item, status, type);
    }

    private void CloseItem(IEventOutput output, string status, ReadOnlySpan<byte> type, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after)
    {
        BeginItem(status, type);
        JsonText.WriteRaw(_item, before);
        JsonText.WriteRaw(_item, _text.WrittenSpan);
        JsonText.WriteRaw(_item, after);
        EndItem(output);
    }

    private void EndItem(IEventOutput output)
    {
        JsonText.WriteRaw(_item, "}"u8);
        BeginEvent(output, "response.output_item.done"u8);
        JsonText.WriteRaw(output, ",\"output_index\":"u8);
        JsonText.WriteInteger(output, _index);
        JsonText.WriteRaw(output, ",\"item\":"u8);
        JsonText.WriteRaw(output, _item.WrittenSpan);
        EndEvent(output, "}\n\n"u8);
        KeepItem(_item.WrittenSpan);
    }

    private void KeepItem(ReadOnlySpan<byte> item)
    {
        if (_items.WrittenCount > 0) JsonText.WriteRaw(_items, ","u8);
        JsonText.WriteRaw(_items, item);
        _index++;
        _open = Open.Nothing;
        _unwrapped = null;
    }

    private void ClosePart(IEventOutput output, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after)
    {
        BeginEvent(output, "response.content_part.done"u8);
        WritePlace(output, "content_index"u8);
        JsonText.WriteRaw(output, before);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, after);
        EndEvent(output, "}\n\n"u8);
    }

    private void WriteDone(IEventOutput output, ReadOnlySpan<byte> type, ReadOnlySpan<byte> index, ReadOnlySpan<byte> member, string? name = null)
    {
        BeginEvent(output, type);
        WritePlace(output, index);
        JsonText.WriteRaw(output, ",\""u8);
        JsonText.WriteRaw(output, member);
        JsonText.WriteRaw(output, "\":\""u8);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, "\""u8);
        if (name is not null)
        {
            JsonText.WriteRaw(output, ",\"name\":"u8);
            JsonText.WriteStringOrNull(output, name);
        }
        EndEvent(output, "}\n\n"u8);
    }

    private void WriteDelta(IEventOutput output, ReadOnlySpan<byte> type, ReadOnlySpan<byte> utf8, ReadOnlySpan<byte> index)
    {
        BeginEvent(output, type);
        WritePlace(output, index);
        JsonText.WriteRaw(output, ",\"delta\":\""u8);
        WriteAndKeep(output, utf8);
        EndEvent(output, "\"}\n\n"u8);
    }

    private void WriteAndKeep(IEventOutput output, ReadOnlySpan<byte> utf8)
    {
        var start = _text.WrittenCount;
        JsonText.WriteEscaped(_text, utf8);
        JsonText.WriteRaw(output, _text.WrittenSpan[start..]);
    }

    private void WriteObjectEvent(IEventOutput output, ReadOnlySpan<byte> type, string status, string? incomplete, AnswerUsage? usage, bool isEstimated)
    {
        BeginEvent(output, type);
        JsonText.WriteRaw(output, ",\"response\":"u8);
        var details = usage is null ? default : _finish.Details.Span;
        _object.WriteTo(output, status, incomplete, _items.WrittenSpan, usage, isEstimated, details, _finish.Budget);
        EndEvent(output, "}\n\n"u8);
    }

    private void BeginEvent(IEventOutput output, ReadOnlySpan<byte> type)
    {
        JsonText.WriteRaw(output, "event: "u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\ndata: {\"type\":\""u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\",\"sequence_number\":"u8);
        JsonText.WriteInteger(output, _number++);
    }

    // Which item, and which part of it where it has parts.
    private void WritePlace(IEventOutput output, ReadOnlySpan<byte> index)
    {
        JsonText.WriteRaw(output, ",\"item_id\":"u8);
        JsonText.WriteStringOrNull(output, _itemId);
        JsonText.WriteRaw(output, ",\"output_index\":"u8);
        JsonText.WriteInteger(output, _index);
        if (index.IsEmpty) return;
        JsonText.WriteRaw(output, ",\""u8);
        JsonText.WriteRaw(output, index);
        JsonText.WriteRaw(output, "\":0"u8);
    }

    private static void EndEvent(IEventOutput output, ReadOnlySpan<byte> end)
    {
        JsonText.WriteRaw(output, end);
        output.EndEvent();
    }
}
