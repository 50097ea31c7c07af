using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>What the hub must know of a request; unlike elsewhere, a stream is what is not asked for.</summary>
internal static class OllamaOutline
{
    public static bool TryRead(ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error)
    {
        if (!OutlineReader.TryRead(body, out outline, out error)) return false;
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        var root = new JsonObjectText();
        root.Read(body, 0);
        var stream = root.TypeOf(root.Find(body, "stream"u8));
        var (maxTokens, temperature, topP) = ReadOptions(body, root);
        outline = outline with
        {
            IsStream = stream is not JsonTokenType.False,
            IncludesUsage = true,
            ChoiceCount = 1,
            HasForcedTool = false,
            UsesFunctions = false,
            ServiceTier = null,
            PromptBytes = outline.PromptBytes + LengthOf(body, root, "prompt"u8) + LengthOf(body, root, "tools"u8),
            MaxTokens = maxTokens,
            Temperature = temperature,
            TopP = topP,
        };
        return true;
    }

    private static (long? MaxTokens, double? Temperature, double? TopP) ReadOptions(ReadOnlySpan<byte> body, JsonObjectText root)
    {
        var found = root.Find(body, "options"u8);
        if (root.TypeOf(found) != JsonTokenType.StartObject) return default;
        var options = new JsonObjectText();
        options.Read(body, root.ValueStart(found));
        return (options.Integer(body, options.Find(body, "num_predict"u8)) is { } limit and > 0 ? limit : null, Number(body, options, "temperature"u8), Number(body, options, "top_p"u8));
    }

    private static double? Number(ReadOnlySpan<byte> body, JsonObjectText options, ReadOnlySpan<byte> name)
    {
        var found = options.Find(body, name);
        return options.TypeOf(found) == JsonTokenType.Number
            && double.TryParse(options.Value(body, found), System.Globalization.CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : null;
    }

    private static int LengthOf(ReadOnlySpan<byte> body, JsonObjectText root, ReadOnlySpan<byte> name)
    {
        var found = root.Find(body, name);
        return root.TypeOf(found) is JsonTokenType.String or JsonTokenType.StartArray && root.HasSubstance(found) ? root.Value(body, found).Length : 0;
    }
}
