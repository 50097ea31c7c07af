using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>Makes of a client's body the one that an upstream gets.</summary>
public static class UpstreamRequest
{
    /// <summary>
    /// Writes the body with another model, <c>stream</c> on and <c>stream_options.include_usage</c> on. Every other byte stays, so
    /// that parameters which the hub doesn't know reach the upstream.
    /// </summary>
    /// <param name="body">A body that <see cref="ChatCompletionRequestReader"/> has accepted.</param>
    /// <param name="model">The model's name at the upstream.</param>
    /// <param name="output">Receives the new body.</param>
    public static void Write(ReadOnlySpan<byte> body, string model, IBufferWriter<byte> output)
    {
        var root = new JsonObjectText();
        root.Read(body, 0);
        root.DropEarlier(body, "model"u8);
        root.DropEarlier(body, "stream"u8);
        root.DropEarlier(body, "stream_options"u8);

        var name = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(name, model);
        root.Set(root.Find(body, "model"u8), "\"model\""u8.ToArray(), name.WrittenMemory);
        root.Set(root.Find(body, "stream"u8), "\"stream\""u8.ToArray(), "true"u8.ToArray());
        var options = root.Find(body, "stream_options"u8);
        root.Set(options, "\"stream_options\""u8.ToArray(), WriteOptions(body, root, options));
        root.WriteTo(output, body);
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
