using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>What tells one request from another: hashes of its body.</summary>
/// <param name="Raw">SHA-256 of the bytes, as an automatic retry repeats them.</param>
/// <param name="Canonical">SHA-256 of the parsed body, with keys in order and without <c>stream</c>; null where nobody needs it, for it costs a parse.</param>
public sealed record RequestFingerprint(string Raw, string? Canonical)
{
    private static readonly string[] s_delivery = ["stream"];

    // Who asks, and what the request is called, changes nothing of an answer.
    private static readonly string[] s_labels = ["user", "metadata", "safety_identifier", "prompt_cache_key"];

    /// <summary>Writes what of a body decides its answer and its form, in one order; false where it is not JSON.</summary>
    public static bool TryWriteQuestion(ReadOnlyMemory<byte> body, IBufferWriter<byte> output)
    {
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) return false;
        using (document)
        using (var writer = new Utf8JsonWriter(output)) Write(writer, document.RootElement, s_labels);
        return true;
    }

    /// <summary>Takes the fingerprint of a body.</summary>
    /// <param name="body">As it came; where it is not JSON there is no canonical form.</param>
    /// <param name="isCanonical">Whether the canonical form is wanted.</param>
    public static RequestFingerprint Of(ReadOnlySequence<byte> body, bool isCanonical)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in body) hash.AppendData(part.Span);
        var raw = Convert.ToHexStringLower(hash.GetHashAndReset());
        if (!isCanonical || !JsonBody.TryParse(body, out var document)) return new RequestFingerprint(raw, null);
        using (document)
        {
            var text = new ArrayBufferWriter<byte>();
            using (var writer = new Utf8JsonWriter(text)) Write(writer, document.RootElement, s_delivery);
            return new RequestFingerprint(raw, Convert.ToHexStringLower(SHA256.HashData(text.WrittenSpan)));
        }
    }

    /// <summary>Whether both are of the same request, by the strictest comparison that both allow.</summary>
    public bool Matches(RequestFingerprint other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Raw == other.Raw || (Canonical is not null && Canonical == other.Canonical);
    }

    private static void Write(Utf8JsonWriter writer, JsonElement element, string[]? leftOut = null)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                // Of a key that is there twice the last one counts, as in the request itself.
                var members = new SortedDictionary<string, JsonElement>(StringComparer.Ordinal);
                foreach (var property in element.EnumerateObject()) members[property.Name] = property.Value;
                foreach (var (name, value) in members)
                {
                    if (leftOut is not null && Array.IndexOf(leftOut, name) >= 0) continue;
                    writer.WritePropertyName(name);
                    Write(writer, value);
                }
                writer.WriteEndObject();
                return;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in element.EnumerateArray()) Write(writer, item);
                writer.WriteEndArray();
                return;
            default:
                element.WriteTo(writer);
                return;
        }
    }
}
