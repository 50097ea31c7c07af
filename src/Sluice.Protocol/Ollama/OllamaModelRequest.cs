using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>What requests of Ollama's API say about models, and not about an answer.</summary>
/// <param name="Model">The model that is named; null for none.</param>
/// <param name="SaysKeepAlive">Whether it says how long the model is to stay.</param>
/// <param name="KeepAlive">That time; null for ever.</param>
/// <param name="IsEmpty">Whether there is nothing to answer: the model is to be loaded, or unloaded.</param>
/// <param name="IsStream">Whether the reply is a stream.</param>
public sealed record OllamaModelRequest(string? Model, bool SaysKeepAlive, TimeSpan? KeepAlive, bool IsEmpty, bool IsStream)
{
    private static readonly SearchValues<char> s_digits = SearchValues.Create("0123456789.");

    // Beyond this a timer is as good as none.
    private static readonly TimeSpan s_max = TimeSpan.FromDays(30);

    /// <summary>Reads a body.</summary>
    /// <param name="body">Any.</param>
    /// <param name="error">A 400; null where there is none.</param>
    public static OllamaModelRequest? Read(ReadOnlyMemory<byte> body, out ApiError? error)
    {
        error = null;
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document))
        {
            error = ApiErrors.UnparsableBody();
            return null;
        }
        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                error = ApiErrors.BodyNotAnObject(ApiErrors.Describe(root));
                return null;
            }
            var (says, keepAlive) = ReadKeepAlive(root, ref error);
            var isEmpty = root.TryGetProperty("messages"u8, out var messages) && messages.ValueKind != JsonValueKind.Null
                ? messages.ValueKind == JsonValueKind.Array && messages.GetArrayLength() == 0
                : TextOf(root, "prompt") is null or "" && TextOf(root, "suffix") is null or "" && TextOf(root, "system") is null or ""
                    && !(root.TryGetProperty("images"u8, out var images) && images.ValueKind == JsonValueKind.Array && images.GetArrayLength() > 0);
            // The name had another key once.
            var model = TextOf(root, "model") is { Length: > 0 } named ? named : TextOf(root, "name");
            var isStream = !root.TryGetProperty("stream"u8, out var stream) || stream.ValueKind != JsonValueKind.False;
            return new OllamaModelRequest(model, says, keepAlive, isEmpty, isStream);
        }
    }

    /// <summary>Writes the reply to a request without anything to answer.</summary>
    /// <param name="output">Receives one line.</param>
    /// <param name="model">Its name.</param>
    /// <param name="isGenerate">By which door.</param>
    /// <param name="reason">What was done: <c>load</c> or <c>unload</c>.</param>
    /// <param name="now">The time.</param>
    public static void WriteDone(IBufferWriter<byte> output, string model, bool isGenerate, string reason, DateTimeOffset now)
    {
        JsonText.WriteRaw(output, OllamaDeltaWriter.StartOf(model));
        OllamaDeltaWriter.WriteTime(output, now);
        JsonText.WriteRaw(output, isGenerate ? "\",\"response\":\"\""u8 : "\",\"message\":{\"role\":\"assistant\",\"content\":\"\"}"u8);
        JsonText.WriteRaw(output, ",\"done\":true,\"done_reason\":"u8);
        JsonText.WriteStringOrNull(output, reason);
        JsonText.WriteRaw(output, "}"u8);
    }

    private static string? TextOf(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static (bool, TimeSpan?) ReadKeepAlive(JsonElement root, ref ApiError? error)
    {
        if (!root.TryGetProperty("keep_alive"u8, out var value) || value.ValueKind == JsonValueKind.Null) return default;
        double? seconds = value.ValueKind switch
        {
            JsonValueKind.Number => value.GetDouble(),
            JsonValueKind.String => SecondsOf(value.GetString()!),
            _ => null,
        };
        if (seconds is not { } count || double.IsNaN(count))
        {
            error = ApiErrors.InvalidType("keep_alive", "a duration such as '5m', or a number of seconds", ApiErrors.Describe(value));
            return default;
        }
        return (true, count < 0 || count > s_max.TotalSeconds ? null : TimeSpan.FromSeconds(count));
    }

    // Go's durations: numbers with units, one behind the other; clients write a bare number in quotation marks too.
    private static double? SecondsOf(string text)
    {
        if (double.TryParse(text, CultureInfo.InvariantCulture, out var bare)) return bare;
        var rest = text.AsSpan();
        var sign = rest.StartsWith("-") ? -1 : 1;
        rest = rest.TrimStart("+-");
        double total = 0;
        while (!rest.IsEmpty)
        {
            var digits = rest.IndexOfAnyExcept(s_digits);
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return null;
            rest = rest[digits..];
            var unit = rest.IndexOfAny(s_digits);
            if (unit < 0) unit = rest.Length;
            double? factor = rest[..unit] switch { "ns" => 1e-9, "us" or "µs" => 1e-6, "ms" => 1e-3, "s" => 1, "m" => 60, "h" => 3600, _ => null };
            if (factor is not { } known) return null;
            total += number * known;
            rest = rest[unit..];
        }
        return sign * total;
    }
}
