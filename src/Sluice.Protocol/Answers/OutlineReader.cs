using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Answers;

/// <summary>
/// Reads of a request, whatever door it comes to, what the hub must know itself, in one pass, and leaves everything else alone. Refused are only bodies that are not
/// JSON objects, and a <c>model</c> or <c>stream</c> that can't be what they are.
/// </summary>
internal static class OutlineReader
{
    // Of an image, whatever its size: providers count 85 to 1,600 tokens, and most often about a thousand.
    private const int ImageBytes = 4000;

    internal delegate RequestOutline ReadMembers(ref Utf8JsonReader reader, out ApiError? error);

    // Of a message, beside its text: its role and the marks around it.
    private const int MessageBytes = 16;

    // Of a token that is given as such: as many as a text is reckoned with.
    private const int TokenBytes = 4;

    /// <summary>Never throws for what the body contains.</summary>
    /// <param name="body">The whole body.</param>
    /// <param name="outline">What the hub must know.</param>
    /// <param name="error">A 400.</param>
    /// <param name="depthMax">How deep the body may be nested.</param>
    public static bool TryRead(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error,
        int depthMax = ProtocolLimits.JsonDepthMax) =>
        TryRead(body, Read, out outline, out error, depthMax);

    /// <summary>Reads what another door must know of its requests.</summary>
    /// <param name="body">The whole body.</param>
    /// <param name="read">Reads the members of the object, whose brace has been read.</param>
    /// <param name="outline">What the hub must know.</param>
    /// <param name="error">A 400.</param>
    /// <param name="depthMax">How deep the body may be nested.</param>
    internal static bool TryRead(
        ReadOnlySpan<byte> body, ReadMembers read, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error,
        int depthMax = ProtocolLimits.JsonDepthMax)
    {
        outline = null;
        error = null;
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = depthMax });
        try
        {
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                error = ApiErrors.BodyNotAnObject(Describe(reader.TokenType));
                return false;
            }
            outline = read(ref reader, out error);
            // Nothing may stand behind it.
            reader.Read();
        }
        catch (JsonException exception)
        {
            error = Unparsable(exception);
        }
        catch (InvalidOperationException)
        {
            // A text with half of a surrogate pair, where the hub needs its characters.
            error = ApiErrors.InvalidType("model", "a string", "one with half of a surrogate pair");
        }
        if (error is not null) outline = null;
        return error is null && outline is not null;
    }

    private static ApiError Unparsable(JsonException exception)
    {
        // What was expected stands before the place, which is counted from 0.
        var message = exception.Message;
        var end = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        if (end > 0) message = message[..end].TrimEnd('.', ' ');
        var place = string.Create(
            CultureInfo.InvariantCulture, $" Line {exception.LineNumber + 1}, column {exception.BytePositionInLine + 1}: {message}.");
        var error = ApiErrors.UnparsableBody();
        return error with { Message = error.Message + place };
    }

    private static RequestOutline Read(ref Utf8JsonReader reader, out ApiError? error)
    {
        error = null;
        string? model = null;
        var outline = new RequestOutline("");
        long? older = null, newer = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            // Of a name that is there twice the last one counts.
            if (reader.ValueTextEquals("model"u8)) model = ReadModel(ref reader, ref error);
            else if (reader.ValueTextEquals("stream"u8)) outline = outline with { IsStream = ReadStream(ref reader, ref error) };
            else if (reader.ValueTextEquals("stream_options"u8)) outline = outline with { IncludesUsage = ReadIncludeUsage(ref reader) };
            else if (reader.ValueTextEquals("n"u8)) outline = outline with { ChoiceCount = (int)long.Clamp(ReadInteger(ref reader) ?? 1, 1, ProtocolLimits.ChoicesMax) };
            else if (IsPrompt(ref reader)) outline = outline with { PromptBytes = outline.PromptBytes + ReadPromptBytes(ref reader) };
            else if (reader.ValueTextEquals("logprobs"u8)) outline = outline with { HasLogprobs = Next(ref reader) == JsonTokenType.True };
            else if (reader.ValueTextEquals("tool_choice"u8)) outline = outline with { HasForcedTool = Next(ref reader) == JsonTokenType.StartObject };
            else if (reader.ValueTextEquals("tools"u8)) outline = outline with { PromptBytes = outline.PromptBytes + ReadToolBytes(ref reader, out _) };
            else if (reader.ValueTextEquals("functions"u8))
                outline = outline with { PromptBytes = outline.PromptBytes + ReadToolBytes(ref reader, out var isList), UsesFunctions = isList };
            else if (reader.ValueTextEquals("service_tier"u8)) outline = outline with { ServiceTier = ReadTier(ref reader) };
            else if (reader.ValueTextEquals("max_tokens"u8)) older = ReadInteger(ref reader);
            else if (reader.ValueTextEquals("max_completion_tokens"u8) || reader.ValueTextEquals("max_output_tokens"u8)) newer = ReadInteger(ref reader);
            else if (reader.ValueTextEquals("user"u8) || reader.ValueTextEquals("safety_identifier"u8)) outline = outline with { User = ReadUser(ref reader) };
            else if (reader.ValueTextEquals("temperature"u8)) outline = outline with { Temperature = ReadNumber(ref reader) };
            else if (reader.ValueTextEquals("top_p"u8)) outline = outline with { TopP = ReadNumber(ref reader) };
            else reader.Read();
            reader.Skip();
        }
        if (string.IsNullOrEmpty(model)) error ??= ApiErrors.MissingModel();
        return outline with { Model = model ?? "", MaxTokens = newer ?? older, IncludesUsage = outline.IncludesUsage && outline.IsStream };
    }

    // Chat has one of these, the other doors have more.
    private static bool IsPrompt(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("messages"u8) || reader.ValueTextEquals("input"u8) || reader.ValueTextEquals("instructions"u8)
        || reader.ValueTextEquals("system"u8);

    internal static JsonTokenType Next(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.TokenType;
    }

    internal static string? ReadModel(ref Utf8JsonReader reader, ref ApiError? error)
    {
        switch (Next(ref reader))
        {
            case JsonTokenType.String:
                var model = reader.GetString()!;
                if (model.Length > ProtocolLimits.ModelNameLengthMax)
                    error ??= ApiErrors.StringTooLong("model", ProtocolLimits.ModelNameLengthMax, JsonStrings.CountCharacters(model));
                return model;
            case JsonTokenType.Null:
                return null;
            default:
                error ??= ApiErrors.InvalidType("model", "a string", Describe(reader.TokenType));
                return null;
        }
    }

    internal static bool ReadStream(ref Utf8JsonReader reader, ref ApiError? error)
    {
        switch (Next(ref reader))
        {
            case JsonTokenType.True:
                return true;
            case JsonTokenType.False or JsonTokenType.Null:
                return false;
            default:
                error ??= ApiErrors.InvalidType("stream", "a boolean", Describe(reader.TokenType));
                return false;
        }
    }

    internal static bool ReadIncludeUsage(ref Utf8JsonReader reader)
    {
        if (Next(ref reader) != JsonTokenType.StartObject) return false;
        var includes = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isName = reader.ValueTextEquals("include_usage"u8);
            reader.Read();
            if (isName) includes = reader.TokenType == JsonTokenType.True;
            reader.Skip();
        }
        return includes;
    }

    private static long ReadPromptBytes(ref Utf8JsonReader reader)
    {
        if (Next(ref reader) == JsonTokenType.String) return reader.ValueSpan.Length;
        if (reader.TokenType != JsonTokenType.StartArray) return 0;
        long bytes = 0;
        var depth = reader.CurrentDepth;
        while (reader.Read() && !(reader.TokenType == JsonTokenType.EndArray && reader.CurrentDepth == depth))
        {
            // Lists of texts, or of tokens.
            if (reader.TokenType == JsonTokenType.String && reader.CurrentDepth <= depth + 1) bytes += reader.ValueSpan.Length;
            if (reader.TokenType == JsonTokenType.Number && reader.CurrentDepth <= depth + 2) bytes += TokenBytes;
            if (reader.TokenType == JsonTokenType.StartObject && reader.CurrentDepth == depth + 1) bytes += MessageBytes;
            if (reader.TokenType != JsonTokenType.PropertyName) continue;
            if (IsText(ref reader))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.String) bytes += reader.ValueSpan.Length;
            }
            else if (reader.ValueTextEquals("type"u8))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.String && IsImage(ref reader)) bytes += ImageBytes;
            }
        }
        return bytes;
    }

    // Models read definitions as something that is as long as their JSON.
    private static long ReadToolBytes(ref Utf8JsonReader reader, out bool isList)
    {
        isList = Next(ref reader) == JsonTokenType.StartArray;
        if (!isList) return 0;
        var (start, depth) = (reader.TokenStartIndex, reader.CurrentDepth);
        while (reader.Read() && !(reader.TokenType == JsonTokenType.EndArray && reader.CurrentDepth == depth))
        {
        }
        const int Brackets = 2;
        return long.Max(0, reader.BytesConsumed - start - Brackets);
    }

    private static bool IsImage(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("image_url"u8) || reader.ValueTextEquals("input_image"u8) || reader.ValueTextEquals("image"u8);

    private static bool IsText(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("content"u8) || reader.ValueTextEquals("text"u8) || reader.ValueTextEquals("output"u8)
        || reader.ValueTextEquals("arguments"u8) || reader.ValueTextEquals("input"u8);

    private static string? ReadTier(ref Utf8JsonReader reader)
    {
        if (Next(ref reader) != JsonTokenType.String || reader.ValueSpan.Length > ProtocolLimits.NameLengthMax) return null;
        return reader.GetString() switch { "auto" => "default", "fast" => "priority", var tier => tier };
    }

    // Half of a surrogate pair names nobody.
    private static string? ReadUser(ref Utf8JsonReader reader)
    {
        if (Next(ref reader) != JsonTokenType.String || reader.ValueSpan.Length is 0 or > ProtocolLimits.NameLengthMax) return null;
        try
        {
            return reader.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    internal static long? ReadInteger(ref Utf8JsonReader reader) => Next(ref reader) == JsonTokenType.Number && reader.TryGetInt64(out var number) ? number : null;

    internal static double? ReadNumber(ref Utf8JsonReader reader) =>
        Next(ref reader) == JsonTokenType.Number && reader.TryGetDouble(out var number) && double.IsFinite(number) ? number : null;

    private static string Describe(JsonTokenType type) => type switch
    {
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "a boolean",
        JsonTokenType.Null => "null",
        JsonTokenType.StartArray => "an array",
        _ => "an object",
    };
}
