using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Embeddings;

/// <summary>A text to be embedded: as text, or as tokens of the model. Exactly one of them is there.</summary>
/// <param name="Text">At least one character.</param>
/// <param name="Tokens">At least one.</param>
public readonly record struct EmbeddingInput(string? Text, IReadOnlyList<int>? Tokens);

/// <summary>What the local engine is asked to embed.</summary>
/// <param name="Inputs">1 to 2048, in their order.</param>
public sealed record EmbeddingsRequest(IReadOnlyList<EmbeddingInput> Inputs)
{
    // OpenAI's bounds.
    private const int InputsMax = 2048;
    private const int DimensionsMax = 65_536;

    /// <summary>Values of each vector, at least 1; null for all that the model makes.</summary>
    public int? Dimensions { get; init; }

    /// <summary>Whether vectors are base64 of little-endian single-precision values, as SDKs ask for, and not numbers.</summary>
    public bool IsBase64 { get; init; }

    /// <summary>Whether a text that is too long is cut; Ollama's clients expect that, and OpenAI's an error. Null leaves it to the door.</summary>
    public bool? Truncates { get; init; }

    /// <summary>Reads a body; unknown members are ignored.</summary>
    /// <param name="body">A JSON object.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="error">A 400.</param>
    public static bool TryRead(ReadOnlyMemory<byte> body, [NotNullWhen(true)] out EmbeddingsRequest? request, [NotNullWhen(false)] out ApiError? error)
    {
        request = null;
        using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = ProtocolLimits.JsonDepthMax });
        var root = document.RootElement;
        var inputs = new List<EmbeddingInput>();
        error = root.TryGetProperty("input"u8, out var input) ? ReadInputs(input, inputs) : ApiErrors.InvalidEmbeddingInput("it is missing");
        if (error is not null) return false;
        int? dimensions = null;
        if (root.TryGetProperty("dimensions"u8, out var count) && count.ValueKind != JsonValueKind.Null)
        {
            if (count.ValueKind != JsonValueKind.Number || !count.TryGetInt32(out var number) || number is < 1 or > DimensionsMax)
            {
                error = ApiErrors.InvalidDimensions(null);
                return false;
            }
            dimensions = number;
        }
        var isBase64 = root.TryGetProperty("encoding_format"u8, out var format) && format.ValueKind == JsonValueKind.String && format.ValueEquals("base64"u8);
        request = new EmbeddingsRequest(inputs) { Dimensions = dimensions, IsBase64 = isBase64, Truncates = root.TryGetProperty("truncate"u8, out var truncates) && truncates.ValueKind is JsonValueKind.True or JsonValueKind.False ? truncates.GetBoolean() : null };
        return true;
    }

    private static ApiError? ReadInputs(JsonElement input, List<EmbeddingInput> inputs)
    {
        if (input.ValueKind == JsonValueKind.String) return AddText(input, inputs);
        if (input.ValueKind != JsonValueKind.Array || input.GetArrayLength() == 0) return ApiErrors.InvalidEmbeddingInput("it must be a text, a list of texts, a list of tokens or a list of such lists");
        // One list of tokens is one input.
        if (input[0].ValueKind == JsonValueKind.Number) return AddTokens(input, inputs);
        if (input.GetArrayLength() > InputsMax) return ApiErrors.InvalidEmbeddingInput($"it has more than {InputsMax} elements");
        foreach (var element in input.EnumerateArray())
        {
            var error = element.ValueKind switch
            {
                JsonValueKind.String => AddText(element, inputs),
                JsonValueKind.Array => AddTokens(element, inputs),
                _ => ApiErrors.InvalidEmbeddingInput("its elements must be texts, or lists of tokens"),
            };
            if (error is not null) return error;
        }
        return null;
    }

    private static ApiError? AddText(JsonElement text, List<EmbeddingInput> inputs)
    {
        // A lone surrogate is U+FFFD, as everywhere.
        var value = JsonStrings.Read(text);
        if (value.Length == 0) return ApiErrors.InvalidEmbeddingInput($"element {inputs.Count} is empty");
        inputs.Add(new EmbeddingInput(value, null));
        return null;
    }

    private static ApiError? AddTokens(JsonElement list, List<EmbeddingInput> inputs)
    {
        var tokens = new List<int>(list.GetArrayLength());
        foreach (var element in list.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt32(out var token) || token < 0)
                return ApiErrors.InvalidEmbeddingInput($"element {inputs.Count} has something else than tokens");
            tokens.Add(token);
        }
        if (tokens.Count == 0) return ApiErrors.InvalidEmbeddingInput($"element {inputs.Count} is empty");
        inputs.Add(new EmbeddingInput(null, tokens));
        return null;
    }
}
