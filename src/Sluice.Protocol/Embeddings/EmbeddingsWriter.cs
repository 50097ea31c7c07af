using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Embeddings;

/// <summary>Writes the object that the local engine answers with.</summary>
public static class EmbeddingsWriter
{
    /// <param name="output">Receives the object, on one line.</param>
    /// <param name="model">Its name in the answer.</param>
    /// <param name="vectors">One for each input.</param>
    /// <param name="isBase64">See <see cref="EmbeddingsRequest.IsBase64"/>.</param>
    /// <param name="tokens">Of all inputs.</param>
    public static void Write(IBufferWriter<byte> output, string model, IReadOnlyList<float[]> vectors, bool isBase64, long tokens)
    {
        ArgumentNullException.ThrowIfNull(vectors);
        JsonText.WriteRaw(output, "{\"object\":\"list\",\"data\":["u8);
        for (var i = 0; i < vectors.Count; i++)
        {
            if (i > 0) JsonText.WriteRaw(output, ","u8);
            JsonText.WriteRaw(output, "{\"object\":\"embedding\",\"index\":"u8);
            JsonText.WriteInteger(output, i);
            JsonText.WriteRaw(output, ",\"embedding\":"u8);
            if (isBase64) WriteBase64(output, vectors[i]);
            else WriteNumbers(output, vectors[i]);
            JsonText.WriteRaw(output, "}"u8);
        }
        JsonText.WriteRaw(output, "],\"model\":"u8);
        JsonText.WriteStringOrNull(output, model);
        JsonText.WriteRaw(output, ",\"usage\":{\"prompt_tokens\":"u8);
        JsonText.WriteInteger(output, tokens);
        JsonText.WriteRaw(output, ",\"total_tokens\":"u8);
        JsonText.WriteInteger(output, tokens);
        JsonText.WriteRaw(output, "}}"u8);
    }

    private static void WriteBase64(IBufferWriter<byte> output, float[] vector)
    {
        var bytes = new byte[vector.Length * sizeof(float)];
        for (var i = 0; i < vector.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
        JsonText.WriteRaw(output, "\""u8);
        Base64.EncodeToUtf8(bytes, output.GetSpan(Base64.GetMaxEncodedToUtf8Length(bytes.Length)), out _, out var written);
        output.Advance(written);
        JsonText.WriteRaw(output, "\""u8);
    }

    private static void WriteNumbers(IBufferWriter<byte> output, float[] vector)
    {
        JsonText.WriteRaw(output, "["u8);
        Span<byte> text = stackalloc byte[32];
        for (var i = 0; i < vector.Length; i++)
        {
            if (i > 0) JsonText.WriteRaw(output, ","u8);
            // The shortest text that gives the same value again.
            vector[i].TryFormat(text, out var written, default, CultureInfo.InvariantCulture);
            JsonText.WriteRaw(output, text[..written]);
        }
        JsonText.WriteRaw(output, "]"u8);
    }
}
