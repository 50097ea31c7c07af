using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// An answer that an upstream gave as one object. One in OpenAI's shape is passed on: only the values of <c>id</c>, of a <c>model</c> that has
/// another name here, and what is missing of <c>object</c> and <c>created</c> are the hub's. Any other is taken apart like a stream.
/// </summary>
public static class WholeCompletion
{
    private static readonly byte[] s_object = "\"chat.completion\""u8.ToArray();

    /// <summary>Reads an object.</summary>
    /// <param name="json">May be anything.</param>
    /// <param name="options">What is known of the answer.</param>
    /// <param name="answer">The answer as it is passed on.</param>
    /// <returns>False where it is not an answer in OpenAI's shape.</returns>
    public static bool TryRead(ReadOnlySpan<byte> json, RelayOptions options, out WholeAnswer answer)
    {
        ArgumentNullException.ThrowIfNull(options);
        answer = null!;
        json = json.Trim(" \t\r\n\uFEFF"u8);
        if (!Utf8.IsValid(json)) return false;
        try
        {
            var root = new JsonObjectText();
            if (root.Read(json, 0) != json.Length) return false;
            if (UpstreamError.FindInFrame(json, hasChoices: true) is not null || root.HasSubstance(root.Find(json, "error"u8))) return false;
            if (!HasShape(json, root.Find(json, "choices"u8), root)) return false;
            var usage = new UpstreamUsage();
            var usageMember = root.Find(json, "usage"u8);
            if (root.TypeOf(usageMember) == JsonTokenType.StartObject)
            {
                // Counts under other names are brought into the usual form.
                if (usage.Read(json, root.ValueStart(usageMember)) && !usage.Json.Span.SequenceEqual(root.Value(json, usageMember)))
                    root.Set(usageMember, default, usage.Json);
            }
            SetIdentity(json, root, options);
            var output = new ArrayBufferWriter<byte>(json.Length + 64);
            root.WriteTo(output, json);
            var estimate = new AnswerUsage(options.EstimatedPromptTokens, 0, AnswerRelay.EstimateTokens(json.Length / 2));
            answer = new WholeAnswer(output.WrittenMemory, usage.IsKnown ? usage.Counts : estimate, !usage.IsKnown);
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Writes a whole answer as one chunk: every choice with all that it says and its reason.</summary>
    /// <param name="json">As <see cref="WholeAnswer.Json"/>.</param>
    /// <param name="output">Receives the bytes of one event.</param>
    internal static void WriteChunk(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        var (root, elements, choice) = (new JsonObjectText(), new JsonArrayText(), new JsonObjectText());
        root.Read(json, 0);
        var choices = root.Find(json, "choices"u8);
        elements.Read(json, root.ValueStart(choices));
        var list = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(list, "["u8);
        for (var i = 0; i < elements.Count; i++)
        {
            if (i > 0) JsonText.WriteRaw(list, ","u8);
            choice.Read(json, elements[i].Start);
            var message = choice.Find(json, "message"u8);
            choice.Drop(message);
            choice.Set(-1, "\"delta\""u8.ToArray(), WriteDelta(json, choice.ValueStart(message)));
            choice.WriteTo(list, json);
        }
        JsonText.WriteRaw(list, "]"u8);
        root.Set(choices, default, list.WrittenMemory);
        root.Set(root.Find(json, "object"u8), "\"object\""u8.ToArray(), "\"chat.completion.chunk\""u8.ToArray());
        var chunk = new ArrayBufferWriter<byte>();
        root.WriteTo(chunk, json);
        JsonText.WriteRaw(output, "data: "u8);
        // Events are lines, and outside of strings, where alone line ends may be, they are white space.
        foreach (var part in chunk.WrittenSpan) JsonText.WriteRaw(output, [part is (byte)'\r' or (byte)'\n' ? (byte)' ' : part]);
        JsonText.WriteRaw(output, "\n\n"u8);
    }

    // Calls of a delta have an index.
    private static ReadOnlyMemory<byte> WriteDelta(ReadOnlySpan<byte> json, int start)
    {
        var (delta, elements, call) = (new JsonObjectText(), new JsonArrayText(), new JsonObjectText());
        delta.Read(json, start);
        var calls = delta.Find(json, "tool_calls"u8);
        if (delta.TypeOf(calls) == JsonTokenType.StartArray)
        {
            elements.Read(json, delta.ValueStart(calls));
            var list = new ArrayBufferWriter<byte>();
            JsonText.WriteRaw(list, "["u8);
            for (var i = 0; i < elements.Count; i++)
            {
                if (i > 0) JsonText.WriteRaw(list, ","u8);
                call.Read(json, elements[i].Start);
                var index = new ArrayBufferWriter<byte>();
                JsonText.WriteInteger(index, i);
                call.Set(call.Find(json, "index"u8), "\"index\""u8.ToArray(), index.WrittenMemory);
                call.WriteTo(list, json);
            }
            JsonText.WriteRaw(list, "]"u8);
            delta.Set(calls, default, list.WrittenMemory);
        }
        var output = new ArrayBufferWriter<byte>();
        delta.WriteTo(output, json);
        return output.WrittenMemory;
    }

    private static void SetIdentity(ReadOnlySpan<byte> json, JsonObjectText root, RelayOptions options)
    {
        root.Drop(root.Find(json, "error"u8));
        Set(json, root, "id"u8, "\"id\""u8.ToArray(), Quote(options.Id), isKept: false);
        Set(json, root, "object"u8, "\"object\""u8.ToArray(), s_object, root.Text(json, root.Find(json, "object"u8)) is { Length: > 0 });
        var created = new ArrayBufferWriter<byte>();
        JsonText.WriteInteger(created, options.Created);
        Set(json, root, "created"u8, "\"created\""u8.ToArray(), created.WrittenMemory, root.Integer(json, root.Find(json, "created"u8)) is > 0);
        var model = root.Find(json, "model"u8);
        Set(json, root, "model"u8, "\"model\""u8.ToArray(), Quote(options.Model), options.KeepsUpstreamModel && root.Text(json, model) is { Length: > 0 });
    }

    private static void Set(ReadOnlySpan<byte> json, JsonObjectText root, ReadOnlySpan<byte> name, byte[] quoted, ReadOnlyMemory<byte> value, bool isKept)
    {
        var member = root.Find(json, name);
        if (!isKept && (member < 0 || !root.Value(json, member).SequenceEqual(value.Span))) root.Set(member, quoted, value);
    }

    // What SDKs read without further ado: every choice with its message and a reason they know, calls with ids, names and arguments as text.
    private static bool HasShape(ReadOnlySpan<byte> json, int choices, JsonObjectText root)
    {
        if (root.TypeOf(choices) != JsonTokenType.StartArray) return false;
        var (elements, choice, message) = (new JsonArrayText(), new JsonObjectText(), new JsonObjectText());
        elements.Read(json, root.ValueStart(choices));
        if (elements.Count == 0) return false;
        for (var i = 0; i < elements.Count; i++)
        {
            if (elements[i].Type != JsonTokenType.StartObject) return false;
            choice.Read(json, elements[i].Start);
            if (choice.Integer(json, choice.Find(json, "index"u8)) is null || choice.HasSubstance(choice.Find(json, "error"u8))) return false;
            if (choice.Find(json, "usage"u8) >= 0) return false;
            if (choice.Text(json, choice.Find(json, "finish_reason"u8)) is not { } reason || !FinishReasons.IsKnown(reason)) return false;
            var member = choice.Find(json, "message"u8);
            if (choice.TypeOf(member) != JsonTokenType.StartObject) return false;
            message.Read(json, choice.ValueStart(member));
            var calls = message.Find(json, "tool_calls"u8);
            if (message.TypeOf(calls) is JsonTokenType.None or JsonTokenType.Null) continue;
            if (message.TypeOf(calls) != JsonTokenType.StartArray || !HaveShape(json, message.ValueStart(calls), reason)) return false;
        }
        return true;
    }

    private static bool HaveShape(ReadOnlySpan<byte> json, int start, string reason)
    {
        var (elements, call, body, ids) = (new JsonArrayText(), new JsonObjectText(), new JsonObjectText(), new HashSet<string>(StringComparer.Ordinal));
        elements.Read(json, start);
        // A stop that waits for the results of calls.
        if (elements.Count > 0 && reason == "stop") return false;
        for (var i = 0; i < elements.Count; i++)
        {
            if (elements[i].Type != JsonTokenType.StartObject) return false;
            call.Read(json, elements[i].Start);
            if (call.Text(json, call.Find(json, "id"u8)) is not { Length: > 0 } id || !ids.Add(id)) return false;
            if (call.Text(json, call.Find(json, "type"u8)) is not { Length: > 0 } type) return false;
            var isCustom = type == "custom";
            var member = call.Find(json, isCustom ? "custom"u8 : "function"u8);
            if (call.TypeOf(member) != JsonTokenType.StartObject) return false;
            body.Read(json, call.ValueStart(member));
            if (body.Text(json, body.Find(json, "name"u8)) is not { Length: > 0 }) return false;
            if (body.Text(json, body.Find(json, isCustom ? "input"u8 : "arguments"u8)) is not { } text || (!isCustom && text.Length == 0)) return false;
        }
        return true;
    }

    private static ReadOnlyMemory<byte> Quote(string text)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(output, text);
        return output.WrittenMemory;
    }
}
