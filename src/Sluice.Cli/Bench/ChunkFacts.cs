using System.Text;
using System.Text.Json;

namespace Sluice.Cli.Bench;

/// <summary>What a chunk of a stream says that matters to a measurement. Reading it allocates nothing but the text of an error.</summary>
internal ref struct ChunkFacts
{
    private const int ErrorCharactersMax = 120;

    /// <summary>Text, reasoning, a refusal or a piece of a call.</summary>
    public bool HasContent { get; private set; }

    /// <summary>A choice has ended.</summary>
    public bool HasFinish { get; private set; }

    /// <summary>Tokens of the prompt; null without usage.</summary>
    public int? PromptTokens { get; private set; }

    /// <summary>Tokens of the answer; null without usage.</summary>
    public int? CompletionTokens { get; private set; }

    /// <summary>The message of an error event.</summary>
    public string? Error { get; private set; }

    /// <summary>Reads one chunk.</summary>
    /// <exception cref="JsonException">It is no JSON object.</exception>
    public static ChunkFacts Read(ReadOnlySpan<byte> json)
    {
        var facts = default(ChunkFacts);
        var reader = new Utf8JsonReader(json);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new JsonException("A chunk is a JSON object.");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("choices"u8)) facts.ReadChoices(ref reader);
            else if (reader.ValueTextEquals("usage"u8)) facts.ReadUsage(ref reader);
            else if (reader.ValueTextEquals("error"u8)) facts.ReadError(ref reader);
            else reader.Skip();
        }
        return facts;
    }

    private void ReadChoices(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray) return;
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("delta"u8)) ReadDelta(ref reader);
                else if (reader.ValueTextEquals("finish_reason"u8)) HasFinish |= reader.Read() && reader.TokenType == JsonTokenType.String;
                else reader.Skip();
            }
        }
    }

    private void ReadDelta(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) return;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isText = reader.ValueTextEquals("content"u8) || reader.ValueTextEquals("reasoning_content"u8) || reader.ValueTextEquals("reasoning"u8)
                || reader.ValueTextEquals("refusal"u8);
            var isCall = reader.ValueTextEquals("tool_calls"u8) || reader.ValueTextEquals("function_call"u8);
            reader.Read();
            HasContent |= (isText && reader.TokenType == JsonTokenType.String && !reader.ValueTextEquals(default(ReadOnlySpan<byte>)))
                || (isCall && reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject);
            reader.Skip();
        }
    }

    private void ReadUsage(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) return;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isPrompt = reader.ValueTextEquals("prompt_tokens"u8);
            var isCompletion = reader.ValueTextEquals("completion_tokens"u8);
            reader.Read();
            if (isPrompt && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var prompt)) PromptTokens = prompt;
            if (isCompletion && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var completion)) CompletionTokens = completion;
            reader.Skip();
        }
    }

    private void ReadError(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null) return;
        Error = "error event";
        if (reader.TokenType == JsonTokenType.String) Error = Shorten(reader.GetString());
        if (reader.TokenType != JsonTokenType.StartObject) return;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isMessage = reader.ValueTextEquals("message"u8);
            reader.Read();
            if (isMessage && reader.TokenType == JsonTokenType.String) Error = Shorten(reader.GetString());
            reader.Skip();
        }
    }

    /// <summary>The message of an error's body, or what the body begins with.</summary>
    public static string ErrorOf(byte[] body)
    {
        try
        {
            if (Read(body).Error is { } error) return error;
        }
        catch (JsonException)
        {
            // Not every server speaks JSON when it refuses.
        }
        return Shorten(Encoding.UTF8.GetString(body));
    }

    private static string Shorten(string? text)
    {
        var line = (text ?? "").ReplaceLineEndings(" ").Trim();
        return line.Length <= ErrorCharactersMax ? line : line[..ErrorCharactersMax] + "…";
    }
}
