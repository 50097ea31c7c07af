using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Completions;

/// <summary>
/// Reads of a completions request what the hub must know itself, in one pass, and leaves everything else alone: see
/// <see cref="OutlineReader"/>.
/// </summary>
internal static class CompletionOutlineReader
{
    // What a token is in bytes of text, about.
    private const int TokenBytes = 4;

    /// <summary>Never throws for what the body contains.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error) =>
        OutlineReader.TryRead(body, Read, out outline, out error);

    private static RequestOutline Read(ref Utf8JsonReader reader, out ApiError? error)
    {
        error = null;
        string? model = null;
        long n = 1;
        var promptCount = 1;
        var outline = new RequestOutline("");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            // Of a name that is there twice the last one counts.
            if (reader.ValueTextEquals("model"u8)) model = OutlineReader.ReadModel(ref reader, ref error);
            else if (reader.ValueTextEquals("stream"u8)) outline = outline with { IsStream = OutlineReader.ReadStream(ref reader, ref error) };
            else if (reader.ValueTextEquals("stream_options"u8)) outline = outline with { IncludesUsage = OutlineReader.ReadIncludeUsage(ref reader) };
            else if (reader.ValueTextEquals("n"u8)) n = OutlineReader.ReadInteger(ref reader) ?? 1;
            else if (reader.ValueTextEquals("prompt"u8)) outline = outline with { PromptBytes = ReadPrompt(ref reader, out promptCount) };
            else if (reader.ValueTextEquals("logprobs"u8)) outline = outline with { HasLogprobs = OutlineReader.Next(ref reader) == JsonTokenType.Number };
            else if (reader.ValueTextEquals("max_tokens"u8)) outline = outline with { MaxTokens = OutlineReader.ReadInteger(ref reader) };
            else if (reader.ValueTextEquals("temperature"u8)) outline = outline with { Temperature = OutlineReader.ReadNumber(ref reader) };
            else if (reader.ValueTextEquals("top_p"u8)) outline = outline with { TopP = OutlineReader.ReadNumber(ref reader) };
            else reader.Read();
            reader.Skip();
        }

        if (string.IsNullOrEmpty(model)) error ??= ApiErrors.MissingModel();
        n = long.Clamp(n, 1, ProtocolLimits.ChoicesMax);
        return outline with
        {
            Model = model ?? "",
            ChoiceCount = (int)long.Clamp(n * promptCount, 1, ProtocolLimits.CompletionChoicesMax),
            IncludesUsage = outline.IncludesUsage && outline.IsStream,
        };
    }

    // Ends at the last token of the value. Numbers side by side are one prompt.
    private static long ReadPrompt(ref Utf8JsonReader reader, out int count)
    {
        count = 1;
        var first = OutlineReader.Next(ref reader);
        if (first == JsonTokenType.String) return reader.ValueSpan.Length;
        if (first != JsonTokenType.StartArray) return 0;
        long bytes = 0;
        var prompts = 0;
        var depth = reader.CurrentDepth;
        while (reader.Read() && !(reader.TokenType == JsonTokenType.EndArray && reader.CurrentDepth == depth))
        {
            if (reader.TokenType == JsonTokenType.Number) bytes += TokenBytes;
            else if (reader.TokenType == JsonTokenType.String) bytes += reader.ValueSpan.Length;
            if (reader.CurrentDepth == depth + 1 && reader.TokenType is JsonTokenType.String or JsonTokenType.StartArray) prompts++;
        }

        count = int.Max(1, prompts);
        return bytes;
    }
}
