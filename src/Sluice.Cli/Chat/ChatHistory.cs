using System.Text.Json;
using Sluice.Inference.Prompting;

namespace Sluice.Cli.Chat;

/// <summary>What was said so far: an optional system message, then questions and answers in turn. An answer can call tools first, whose results follow.</summary>
internal sealed class ChatHistory(string? systemMessage)
{
    private readonly List<PromptMessage> _messages = [];

    /// <summary>Comes first; null leaves it to the model's template.</summary>
    public string? SystemMessage { get; set; } = systemMessage;

    /// <summary>For the model's template.</summary>
    public IReadOnlyList<PromptMessage> Messages => SystemMessage is { } text ? [new PromptMessage("system", text), .. _messages] : _messages;

    /// <summary>Questions, the oldest first.</summary>
    public IEnumerable<string> Questions => _messages.Where(static message => message.Role == "user").Select(static message => message.Content);

    /// <summary>Whether nothing comes before the last question.</summary>
    public bool IsAlone => _messages.FindLastIndex(static message => message.Role == "user") <= 0;

    public void Ask(string question) => _messages.Add(new PromptMessage("user", question));

    public void Answer(string text) => _messages.Add(new PromptMessage("assistant", text));

    /// <summary>An answer that calls tools. Their results have to follow.</summary>
    public void Call(string text, IReadOnlyList<PromptToolCall> calls) => _messages.Add(new PromptMessage("assistant", text) { ToolCalls = calls });

    /// <summary>What a tool said.</summary>
    public void Result(PromptToolCall call, string text) => _messages.Add(new PromptMessage("tool", text, call.Name) { ToolCallId = call.Id });

    /// <summary>Removes the last question and all that follows it, and returns the question; null where there is none.</summary>
    public string? TakeBack()
    {
        var last = _messages.FindLastIndex(static message => message.Role == "user");
        if (last < 0) return null;
        var question = _messages[last].Content;
        _messages.RemoveRange(last, _messages.Count - last);
        return question;
    }

    /// <summary>Removes the oldest question and its answer; false where the last question is alone.</summary>
    public bool TryForgetOldest()
    {
        if (IsAlone) return false;
        _messages.RemoveRange(0, _messages.FindIndex(1, static message => message.Role == "user"));
        return true;
    }

    /// <summary>Writes the messages as JSON, in the form that the API takes. Never over another file.</summary>
    /// <exception cref="IOException">The file exists or can't be written.</exception>
    public void Save(string path)
    {
        using var file = new FileStream(path, FileMode.CreateNew);
        using var json = new Utf8JsonWriter(file, new JsonWriterOptions { Indented = true });
        json.WriteStartArray();
        foreach (var message in Messages)
        {
            json.WriteStartObject();
            json.WriteString("role"u8, message.Role);
            json.WriteString("content"u8, message.Content);
            if (message.ToolCallId is { } id) json.WriteString("tool_call_id"u8, id);
            if (message.Name is { } name) json.WriteString("name"u8, name);
            if (message.ToolCalls.Count > 0) WriteCalls(json, message.ToolCalls);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Replaces the conversation by one that was saved.</summary>
    /// <exception cref="CliException">The file holds none.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public void Load(string path)
    {
        var read = Read(path);
        SystemMessage = read is [{ Role: "system" } first, ..] ? first.Content : null;
        _messages.Clear();
        _messages.AddRange(read.Skip(SystemMessage is null ? 0 : 1));
    }

    private static void WriteCalls(Utf8JsonWriter json, IReadOnlyList<PromptToolCall> calls)
    {
        json.WriteStartArray("tool_calls"u8);
        foreach (var call in calls)
        {
            json.WriteStartObject();
            json.WriteString("id"u8, call.Id);
            json.WriteString("type"u8, "function"u8);
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, call.Name);
            json.WriteString("arguments"u8, call.Arguments);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static List<PromptMessage> Read(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            using var json = JsonDocument.Parse(file);
            var messages = json.RootElement.EnumerateArray().Select(ReadMessage).ToList();
            var turns = messages is [{ Role: "system" }, ..] ? messages[1..] : messages;
            if (IsInTurn(turns)) return messages;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw NotAConversation(path, exception);
        }

        throw NotAConversation(path, null);
    }

    private static PromptMessage ReadMessage(JsonElement message)
    {
        static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var text) ? text.GetString() : null;
        var calls = message.TryGetProperty("tool_calls"u8, out var list)
            ? list.EnumerateArray().Select(static call => (Call: call, Function: call.GetProperty("function"u8)))
                .Select(static call => new PromptToolCall(call.Call.GetProperty("id"u8).GetString()!, call.Function.GetProperty("name"u8).GetString()!, call.Function.GetProperty("arguments"u8).GetString()!)).ToList()
            : [];
        return new PromptMessage(message.GetProperty("role"u8).GetString()!, message.GetProperty("content"u8).GetString() ?? "", Text(message, "name")) { ToolCalls = calls, ToolCallId = Text(message, "tool_call_id") };
    }

    // A question, calls with as many results each, an answer; and so on.
    private static bool IsInTurn(List<PromptMessage> turns)
    {
        for (var index = 0; index < turns.Count; index++)
        {
            if (turns[index++].Role != "user") return false;
            while (index < turns.Count && turns[index] is { Role: "assistant", ToolCalls.Count: > 0 } calling)
            {
                index++;
                foreach (var call in calling.ToolCalls)
                {
                    if (index >= turns.Count || turns[index].Role != "tool" || turns[index++].ToolCallId != call.Id) return false;
                }
            }

            if (index >= turns.Count || turns[index].Role != "assistant") return false;
        }

        return true;
    }

    private static CliException NotAConversation(string path, Exception? inner) =>
        new($"{path} is not a saved conversation; expected a JSON array of messages with role and content, questions and answers in turn.", inner);
}
