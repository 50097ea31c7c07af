using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// Completes the usage of a response that is passed on: some clients end their session over a detail that is missing, though nothing was
/// counted there.
/// </summary>
internal static class ResponsesUsageText
{
    /// <summary>The object with zeros where counts are missing; nothing where it is whole.</summary>
    /// <param name="json">A text.</param>
    /// <param name="start">Offset of the object in it.</param>
    public static ReadOnlyMemory<byte>? Complete(ReadOnlySpan<byte> json, int start)
    {
        var usage = new JsonObjectText();
        usage.Read(json, start);
        var input = usage.Integer(json, usage.Find(json, "input_tokens"u8));
        var output = usage.Integer(json, usage.Find(json, "output_tokens"u8));
        if (input is null || output is null) return null;
        CompleteDetails(json, usage, "input_tokens_details", "cached_tokens", "{\"cached_tokens\":0,\"cache_write_tokens\":0}");
        CompleteDetails(json, usage, "output_tokens_details", "reasoning_tokens", "{\"reasoning_tokens\":0}");
        var total = usage.Find(json, "total_tokens"u8);
        if (usage.TypeOf(total) != JsonTokenType.Number)
            usage.Set(total, "\"total_tokens\""u8.ToArray(), Encoding.ASCII.GetBytes((input.Value + output.Value).ToString(CultureInfo.InvariantCulture)));
        if (!usage.IsEdited) return null;
        var completed = new ArrayBufferWriter<byte>();
        usage.WriteTo(completed, json);
        return completed.WrittenMemory;
    }

    private static void CompleteDetails(ReadOnlySpan<byte> json, JsonObjectText usage, string group, string count, string whole)
    {
        var member = usage.Find(json, Encoding.ASCII.GetBytes(group));
        if (usage.TypeOf(member) != JsonTokenType.StartObject)
        {
            usage.Set(member, Encoding.ASCII.GetBytes($"\"{group}\""), Encoding.ASCII.GetBytes(whole));
            return;
        }
        var details = new JsonObjectText();
        details.Read(json, usage.ValueStart(member));
        var stated = details.Find(json, Encoding.ASCII.GetBytes(count));
        if (details.TypeOf(stated) == JsonTokenType.Number) return;
        details.Set(stated, Encoding.ASCII.GetBytes($"\"{count}\""), "0"u8.ToArray());
        var completed = new ArrayBufferWriter<byte>();
        details.WriteTo(completed, json);
        usage.Set(member, default, completed.WrittenMemory);
    }
}
