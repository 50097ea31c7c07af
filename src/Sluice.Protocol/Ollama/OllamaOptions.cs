using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Ollama;

/// <summary>
/// Writes the options of a request as parameters of the neutral form. What says how a model is loaded or computed is the hub's own business and
/// left out, as what is unknown is.
/// </summary>
/// <param name="root">The request.</param>
/// <param name="isText">Whether a text completion is written, whose log probabilities have another form.</param>
internal sealed class OllamaOptions(JsonElement root, bool isText)
{
    /// <summary>The first fault; null while there is none.</summary>
    public ApiError? Error { get; private set; }

    /// <summary>Writes all of them.</summary>
    public void Write(Utf8JsonWriter writer)
    {
        if (root.TryGetProperty("options"u8, out var options) && options.ValueKind == JsonValueKind.Object)
        {
            // Below 1 is without a limit: -1, and -2 until the context is full. Other servers have no number for that.
            if (Number(options, "num_predict") is { } limit and >= 1) writer.WriteNumber("max_tokens"u8, (long)double.Min(limit, int.MaxValue));
            else WriteUnlimited(writer);
            WriteDecimal(writer, options, "temperature", "temperature", 0, 2);
            WriteDecimal(writer, options, "top_p", "top_p", 0, 1);
            WriteDecimal(writer, options, "min_p", "min_p", 0, 1);
            WriteDecimal(writer, options, "presence_penalty", "presence_penalty", -2, 2);
            WriteDecimal(writer, options, "frequency_penalty", "frequency_penalty", -2, 2);
            if (Number(options, "repeat_penalty") is { } penalty and > 0)
                writer.WriteNumber("repetition_penalty"u8, double.Min(penalty, ProtocolLimits.RepetitionPenaltyMax));
            if (Number(options, "top_k") is { } count) writer.WriteNumber("top_k"u8, (long)double.Clamp(count, 0, ProtocolLimits.TopKMax));
            // -1 draws one.
            if (Number(options, "seed") is { } seed and >= 0) writer.WriteNumber("seed"u8, (long)double.Min(seed, long.MaxValue / 2));
            if (options.TryGetProperty("stop"u8, out var stop) && stop.ValueKind is JsonValueKind.String or JsonValueKind.Array)
            {
                writer.WritePropertyName("stop"u8);
                stop.WriteTo(writer);
            }
        }
        else
        {
            WriteUnlimited(writer);
        }
        WriteLogprobs(writer);
    }

    // The older completions stop early where nothing is said.
    private void WriteUnlimited(Utf8JsonWriter writer)
    {
        if (isText) writer.WriteNumber("max_tokens"u8, -1);
    }

    private void WriteLogprobs(Utf8JsonWriter writer)
    {
        if (!root.TryGetProperty("logprobs"u8, out var wanted) || wanted.ValueKind != JsonValueKind.True) return;
        var top = root.TryGetProperty("top_logprobs"u8, out var count) && count.ValueKind == JsonValueKind.Number && count.TryGetInt32(out var number) ? number : 0;
        if (isText)
        {
            writer.WriteNumber("logprobs"u8, top);
            return;
        }
        writer.WriteBoolean("logprobs"u8, true);
        writer.WriteNumber("top_logprobs"u8, top);
    }

    private void WriteDecimal(Utf8JsonWriter writer, JsonElement options, string name, string neutral, double min, double max)
    {
        if (Number(options, name) is { } value) writer.WriteNumber(neutral, double.Clamp(value, min, max));
    }

    // Clients write whole numbers with a fraction, and fractions without one.
    private double? Number(JsonElement options, string name)
    {
        if (!options.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)) return number;
        Error ??= ApiErrors.InvalidType("options." + name, "a number", ApiErrors.Describe(value));
        return null;
    }
}
