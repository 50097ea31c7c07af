using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>Makes of a client's body the one that an upstream gets.</summary>
public static class UpstreamRequest
{
    /// <summary>Writes the body with another model, and asks for usage where it asks for a stream. Every other byte stays as the client wrote it.</summary>
    /// <param name="body">A JSON object.</param>
    /// <param name="model">The model's name at the upstream.</param>
    /// <param name="asksForUsage">Whether <c>stream_options.include_usage</c> is switched on, for a request with <c>stream</c>.</param>
    /// <param name="dropsStream">Whether <c>stream</c> and its options are taken out, for an upstream that has refused them.</param>
    /// <param name="output">Receives the new body.</param>
    /// <param name="maxTokens">
    /// The name that a limit of tokens gets, <c>max_tokens</c> or <c>max_completion_tokens</c>, whichever the client used; of both the
    /// value of the latter. Null leaves it as it is.
    /// </param>
    public static void Write(
        ReadOnlySpan<byte> body, string model, bool asksForUsage, bool dropsStream, IBufferWriter<byte> output, string? maxTokens = null)
    {
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
        if (dropsStream)
        {
            root.Drop(root.Find(body, "stream"u8));
            root.DropEarlier(body, "stream_options"u8);
            root.Drop(root.Find(body, "stream_options"u8));
        }
        else if (asksForUsage)
        {
            root.DropEarlier(body, "stream_options"u8);
            var options = root.Find(body, "stream_options"u8);
            root.Set(options, "\"stream_options\""u8.ToArray(), WriteOptions(body, root, options));
        }
        if (maxTokens is not null) NameMaxTokens(body, root, maxTokens);
        root.WriteTo(output, body);
    }

    private static void NameMaxTokens(ReadOnlySpan<byte> body, JsonObjectText root, string name)
    {
        root.DropEarlier(body, "max_tokens"u8);
        root.DropEarlier(body, "max_completion_tokens"u8);
        var older = root.Find(body, "max_tokens"u8);
        var newer = root.Find(body, "max_completion_tokens"u8);
        var stated = root.TypeOf(newer) == JsonTokenType.Number ? newer : older;
        if (root.TypeOf(stated) != JsonTokenType.Number) return;
        var (kept, other) = name == "max_tokens" ? (older, newer) : (newer, older);
        if (kept != stated) root.Set(kept, Encoding.UTF8.GetBytes($"\"{name}\""), root.Value(body, stated).ToArray());
        root.Drop(other);
    }

    private static ReadOnlyMemory<byte> WriteOptions(ReadOnlySpan<byte> body, JsonObjectText root, int index)
    {
        if (root.TypeOf(index) != JsonTokenType.StartObject) return "{\"include_usage\":true}"u8.ToArray();
        var options = new JsonObjectText();
        options.Read(body, root.ValueStart(index));
        options.DropEarlier(body, "include_usage"u8);
        options.Set(options.Find(body, "include_usage"u8), "\"include_usage\""u8.ToArray(), "true"u8.ToArray());
        var output = new ArrayBufferWriter<byte>();
        options.WriteTo(output, body);
        return output.WrittenMemory;
    }
}
