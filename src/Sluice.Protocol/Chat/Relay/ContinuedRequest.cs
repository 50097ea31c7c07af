using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>Makes of a client's body one that asks to go on with a beginning of the answer, in the way of vLLM, SGLang and llama-server.</summary>
public static class ContinuedRequest
{
    private static readonly byte[] s_true = "true"u8.ToArray();
    private static readonly byte[] s_false = "false"u8.ToArray();

    /// <summary>
    /// Adds an assistant message with the beginning, <c>continue_final_message</c> and <c>add_generation_prompt: false</c>, and takes the
    /// tokens that are spent from <c>max_tokens</c> and <c>max_completion_tokens</c>.
    /// </summary>
    /// <param name="body">A body that <see cref="ChatCompletionRequestReader"/> has accepted.</param>
    /// <param name="beginning">What the answer has so far.</param>
    /// <param name="tokenCount">Tokens of that, at least.</param>
    /// <param name="output">Receives the new body.</param>
    /// <returns>
    /// False when it can't be done, and nothing is written: the tokens are spent, or the answer is to have a form that a server could
    /// only keep from its first token on.
    /// </returns>
    public static bool TryWrite(ReadOnlySpan<byte> body, string beginning, int tokenCount, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        var root = new JsonObjectText();
        root.Read(body, 0);
        var messages = root.Find(body, "messages"u8);
        if (root.TypeOf(messages) != JsonTokenType.StartArray || HasForm(body, root)) return false;
        foreach (var name in (ReadOnlySpan<string>)["max_tokens", "max_completion_tokens"])
        {
            if (!TryReduce(body, root, name, tokenCount)) return false;
        }
        var value = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(value, root.Value(body, messages)[..^1].TrimEnd(" \t\r\n"u8));
        JsonText.WriteRaw(value, ",{\"role\":\"assistant\",\"content\":"u8);
        JsonText.WriteStringOrNull(value, beginning);
        JsonText.WriteRaw(value, "}]"u8);
        root.DropEarlier(body, "messages"u8);
        root.Set(messages, default, value.WrittenMemory);
        root.Set(root.Find(body, "continue_final_message"u8), "\"continue_final_message\""u8.ToArray(), s_true);
        root.Set(root.Find(body, "add_generation_prompt"u8), "\"add_generation_prompt\""u8.ToArray(), s_false);
        root.WriteTo(output, body);
        return true;
    }

    private static bool HasForm(ReadOnlySpan<byte> body, JsonObjectText root)
    {
        var format = root.Find(body, "response_format"u8);
        if (root.TypeOf(format) == JsonTokenType.StartObject)
        {
            var members = new JsonObjectText();
            members.Read(body, root.ValueStart(format));
            if (members.Text(body, members.Find(body, "type"u8)) != "text") return true;
        }
        // Beside OpenAI's: what vLLM and llama-server call it.
        foreach (var name in (ReadOnlySpan<string>)["guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar", "json_schema"])
        {
            if (root.HasSubstance(root.Find(body, System.Text.Encoding.UTF8.GetBytes(name)))) return true;
        }
        return false;
    }

    private static bool TryReduce(ReadOnlySpan<byte> body, JsonObjectText root, string name, int tokenCount)
    {
        var member = root.Find(body, System.Text.Encoding.UTF8.GetBytes(name));
        if (root.Integer(body, member) is not { } count) return true;
        if (count <= tokenCount) return false;
        root.DropEarlier(body, System.Text.Encoding.UTF8.GetBytes(name));
        var rest = new ArrayBufferWriter<byte>();
        JsonText.WriteInteger(rest, count - tokenCount);
        root.Set(member, default, rest.WrittenMemory);
        return true;
    }
}
