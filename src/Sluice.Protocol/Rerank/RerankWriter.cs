using System.Buffers;
using System.Globalization;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Rerank;

/// <summary>Writes the object that the local engine answers with.</summary>
public static class RerankWriter
{
    /// <param name="output">Receives the object, on one line.</param>
    /// <param name="model">Its name in the answer.</param>
    /// <param name="request">What was asked.</param>
    /// <param name="scores">One for each document.</param>
    /// <param name="tokens">Of all pairs.</param>
    public static void Write(IBufferWriter<byte> output, string model, RerankRequest request, IReadOnlyList<float> scores, long tokens)
    {
        ArgumentNullException.ThrowIfNull(request);
        JsonText.WriteRaw(output, "{\"object\":\"list\",\"model\":"u8);
        JsonText.WriteStringOrNull(output, model);
        JsonText.WriteRaw(output, ",\"results\":["u8);
        Span<byte> text = stackalloc byte[32];
        var isFirst = true;
        // Of equal scores the document that was named first is first.
        foreach (var index in Enumerable.Range(0, scores.Count).OrderByDescending(index => scores[index]).Take(request.Count ?? scores.Count))
        {
            if (!isFirst) JsonText.WriteRaw(output, ","u8);
            isFirst = false;
            JsonText.WriteRaw(output, "{\"index\":"u8);
            JsonText.WriteInteger(output, index);
            JsonText.WriteRaw(output, ",\"relevance_score\":"u8);
            // The shortest text that gives the same value again.
            scores[index].TryFormat(text, out var written, default, CultureInfo.InvariantCulture);
            JsonText.WriteRaw(output, text[..written]);
            if (request.ReturnsDocuments)
            {
                JsonText.WriteRaw(output, ",\"document\":{\"text\":"u8);
                JsonText.WriteStringOrNull(output, request.Documents[index]);
                JsonText.WriteRaw(output, "}"u8);
            }
            JsonText.WriteRaw(output, "}"u8);
        }
        JsonText.WriteRaw(output, "],\"usage\":{\"prompt_tokens\":"u8);
        JsonText.WriteInteger(output, tokens);
        JsonText.WriteRaw(output, ",\"total_tokens\":"u8);
        JsonText.WriteInteger(output, tokens);
        JsonText.WriteRaw(output, "}}"u8);
    }
}
