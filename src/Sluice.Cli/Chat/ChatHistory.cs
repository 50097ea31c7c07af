using System.Text.Json;
using Sluice.Inference.Prompting;

namespace Sluice.Cli.Chat;

/// <summary>What was said so far: an optional system message, then questions and answers in turn.</summary>
internal sealed class ChatHistory(string? systemMessage)
{
    private readonly List<PromptMessage> _messages = [];

    /// <summary>Comes first; null leaves it to the model's template.</summary>
    public string? SystemMessage { get; set; } = systemMessage;

    /// <summary>For the model's template.</summary>
    public IReadOnlyList<PromptMessage> Messages => SystemMessage is { } text ? [new PromptMessage("system", text), .. _messages] : _messages;

    /// <summary>Whether nothing comes before the last question.</summary>
    public bool IsAlone => _messages.Count <= 1;

    public void Ask(string question) => _messages.Add(new PromptMessage("user", question));

    public void Answer(string text) => _messages.Add(new PromptMessage("assistant", text));

    /// <summary>Removes the last question and its answer, and returns the question; null where there is none.</summary>
    public string? TakeBack()
    {
        if (_messages is [.., { Role: "assistant" }]) _messages.RemoveAt(_messages.Count - 1);
        if (_messages is not [.., var question]) return null;
        _messages.RemoveAt(_messages.Count - 1);
        return question.Content;
    }

    /// <summary>Removes the oldest question and its answer; false where the last question is alone.</summary>
    public bool TryForgetOldest()
    {
        if (IsAlone) return false;
        _messages.RemoveRange(0, 2);
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

    private static List<PromptMessage> Read(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            using var json = JsonDocument.Parse(file);
            var messages = json.RootElement.EnumerateArray()
                .Select(static message => new PromptMessage(message.GetProperty("role"u8).GetString()!, message.GetProperty("content"u8).GetString()!)).ToList();
            var turns = messages is [{ Role: "system" }, ..] ? messages[1..] : messages;
            if (turns.Count % 2 == 0 && turns.Index().All(static turn => turn.Item.Role == (turn.Index % 2 == 0 ? "user" : "assistant"))) return messages;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw NotAConversation(path, exception);
        }

        throw NotAConversation(path, null);
    }

    private static CliException NotAConversation(string path, Exception? inner) =>
        new($"{path} is not a saved conversation; expected a JSON array of messages with role and content, questions and answers in turn.", inner);
}
