using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses;

/// <summary>
/// <c>truncation: auto</c>: leaves out the oldest items of an input that is longer than the model's context. Instructions, the last message of
/// the user and the last item stay, and a call goes with its results. Pure, so that an answer that is continued has the prompt that it began with.
/// </summary>
internal static class ResponsesTruncation
{
    // Of the request, where the error doesn't say how much is too much.
    private const double DefaultExcess = 0.25;

    // Left free for the answer, where the request doesn't say how long it may become: a share of the context.
    private const double AnswerShare = 0.125;
    private const double AnswerShareMax = 0.25;

    // Numbers that differ more are not those of a limit and a prompt.
    private const double ExcessMax = 0.95;

    private sealed record Item(int Start, int End, bool IsKept, string? CallId);

    /// <summary>Writes a shorter request.</summary>
    /// <param name="body">A request.</param>
    /// <param name="error">Why the whole one was refused; its numbers say how much has to go.</param>
    /// <returns>The request, with the number of all items that have gone in <c>sluice.dropped_items</c>; null where it may not be shortened, or nothing is left that can go.</returns>
    public static ReadOnlyMemory<byte>? Shorten(ReadOnlyMemory<byte> body, ApiError error)
    {
        var json = body.Span;
        if (json.StartsWith("\uFEFF"u8)) json = json["\uFEFF"u8.Length..];
        var root = new JsonObjectText();
        root.Read(json, 0);
        if (!root.StringBytes(json, "truncation"u8).SequenceEqual("auto"u8)) return null;
        var input = root.Find(json, "input"u8);
        if (root.TypeOf(input) != JsonTokenType.StartArray) return null;
        var items = ReadItems(json, root.ValueStart(input));
        var limit = root.Integer(json, root.Find(json, "max_output_tokens"u8));
        var dropped = Choose(items, (long)(FindExcess(error.Message, limit) * json.Length));
        if (dropped.Count == 0) return null;
        root.Set(input, default, Join(json, items, dropped));
        var earlier = FindDropped(json);
        root.Set(root.Find(json, "sluice"u8), "\"sluice\""u8.ToArray(), Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"dropped_items\":{earlier + dropped.Count}}}")));
        var output = new ArrayBufferWriter<byte>(json.Length + 64);
        root.WriteTo(output, json);
        return output.WrittenMemory;
    }

    /// <summary>How many items are missing in a request that has been shortened; 0 for any other.</summary>
    public static long FindDropped(ReadOnlySpan<byte> body)
    {
        if (body.IndexOf("\"dropped_items\""u8) < 0) return 0;
        var item = new JsonObjectText();
        item.Read(body, body.StartsWith("\uFEFF"u8) ? "\uFEFF"u8.Length : 0);
        var ours = item.Find(body, "sluice"u8);
        if (item.TypeOf(ours) != JsonTokenType.StartObject) return 0;
        item.Read(body, item.ValueStart(ours));
        return long.Max(0, item.Integer(body, item.Find(body, "dropped_items"u8)) ?? 0);
    }

    private static List<Item> ReadItems(ReadOnlySpan<byte> json, int start)
    {
        var (elements, item) = (new JsonArrayText(), new JsonObjectText());
        elements.Read(json, start);
        var items = new List<Item>(elements.Count);
        var lastUser = -1;
        for (var i = 0; i < elements.Count; i++)
        {
            var (from, end, type) = elements[i];
            // What is no item is somebody else's to refuse.
            var isKept = type != JsonTokenType.StartObject;
            string? callId = null;
            if (!isKept)
            {
                item.Read(json, from);
                var kind = item.StringBytes(json, "type"u8);
                var role = item.StringBytes(json, "role"u8);
                var call = item.StringBytes(json, "call_id"u8);
                isKept = role.SequenceEqual("system"u8) || role.SequenceEqual("developer"u8) || kind.SequenceEqual("additional_tools"u8);
                if ((kind.IsEmpty || kind.SequenceEqual("message"u8)) && role.SequenceEqual("user"u8)) lastUser = i;
                // As it is escaped: both sides of a pair are written by one client.
                callId = call.IsEmpty ? null : Encoding.UTF8.GetString(call);
            }
            items.Add(new Item(from, end, isKept, callId));
        }
        foreach (var last in (ReadOnlySpan<int>)[lastUser, items.Count - 1])
        {
            if (last < 0) continue;
            var callId = items[last].CallId;
            for (var i = 0; i < items.Count; i++)
            {
                if (i == last || (callId is not null && items[i].CallId == callId)) items[i] = items[i] with { IsKept = true };
            }
        }
        return items;
    }

    // The oldest ones, until so many bytes have gone.
    private static HashSet<int> Choose(List<Item> items, long bytes)
    {
        var dropped = new HashSet<int>();
        for (var i = 0; i < items.Count && (bytes > 0 || dropped.Count == 0); i++)
        {
            if (items[i].IsKept || dropped.Contains(i)) continue;
            for (var other = i; other < items.Count; other++)
            {
                if (other != i && (items[i].CallId is not { } id || items[other].CallId != id)) continue;
                if (dropped.Add(other)) bytes -= items[other].End - items[other].Start;
            }
        }
        return dropped;
    }

    private static ReadOnlyMemory<byte> Join(ReadOnlySpan<byte> json, List<Item> items, HashSet<int> dropped)
    {
        var output = new ArrayBufferWriter<byte>(json.Length);
        JsonText.WriteRaw(output, "["u8);
        for (var i = 0; i < items.Count; i++)
        {
            if (dropped.Contains(i)) continue;
            if (output.WrittenCount > 1) JsonText.WriteRaw(output, ","u8);
            JsonText.WriteRaw(output, json[items[i].Start..items[i].End]);
        }
        JsonText.WriteRaw(output, "]"u8);
        return output.WrittenMemory;
    }

    // The share of the prompt that is too much. Servers name the limit and the prompt, in this order or the other, before all other numbers.
    private static double FindExcess(string message, long? answerTokens)
    {
        var numbers = new List<long>();
        for (var i = 0; i < message.Length && numbers.Count < 2; i++)
        {
            if (!char.IsAsciiDigit(message[i])) continue;
            var end = i;
            while (end < message.Length && char.IsAsciiDigit(message[end])) end++;
            // A version, or a part of a name.
            var isAlone = i == 0 || !(char.IsAsciiLetter(message[i - 1]) || message[i - 1] is '.' or '-' or '_');
            if (isAlone && long.TryParse(message.AsSpan(i, end - i), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0) numbers.Add(number);
            i = end;
        }
        if (numbers.Count < 2) return DefaultExcess;
        var (limit, prompt) = ((double)long.Min(numbers[0], numbers[1]), (double)long.Max(numbers[0], numbers[1]));
        var room = double.Min(answerTokens ?? limit * AnswerShare, limit * AnswerShareMax);
        var excess = 1 - ((limit - room) / prompt);
        return excess > ExcessMax ? DefaultExcess : excess;
    }
}
