using Sluice.Inference.Gguf;

namespace Sluice.Inference.Transformer;

/// <summary>The shape of a decoder-only transformer, as its GGUF file states it. Names follow the file's keys.</summary>
internal sealed record TransformerConfig
{
    /// <summary>The architectures that the engine computes.</summary>
    public static readonly string[] Architectures = ["llama", "qwen2", "qwen3"];

    public required string Architecture { get; init; }

    public required int BlockCount { get; init; }

    public required int ContextLength { get; init; }

    /// <summary>d_model.</summary>
    public required int EmbeddingLength { get; init; }

    public required int FeedForwardLength { get; init; }

    public required int HeadCount { get; init; }

    /// <summary>Key/value heads; <see cref="HeadCount"/> is a multiple.</summary>
    public required int HeadCountKv { get; init; }

    /// <summary>Width of one head.</summary>
    public required int KeyLength { get; init; }

    public required float RmsEpsilon { get; init; }

    public required RopeConfig Rope { get; init; }

    /// <summary>Whether the file's query and key rows stand in interleaved pairs and are put into halves at load (llama).</summary>
    public bool HasInterleavedRope => Architecture == "llama";

    public int GroupSize => HeadCount / HeadCountKv;

    public int QueryLength => HeadCount * KeyLength;

    public int KeyValueLength => HeadCountKv * KeyLength;

    /// <exception cref="GgufException">A key is missing, out of range or not supported.</exception>
    public static TransformerConfig Read(GgufFile file)
    {
        GgufMetadata metadata = file.Metadata;
        string architecture = metadata.GetString("general.architecture");
        if (!Architectures.Contains(architecture))
        {
            throw Error(file, "general.architecture", $"one of {string.Join(", ", Architectures)}", $"'{architecture}'");
        }

        int Read(string key, int min, int max, long? fallback = null)
        {
            string name = $"{architecture}.{key}";
            long value = fallback is { } f ? metadata.GetInteger(name, f) : metadata.GetIntegerAt(name, 0);
            return value >= min && value <= max ? (int)value : throw Error(file, name, $"{min} to {max}", $"{value}");
        }

        int blockCount = Read("block_count", 1, TransformerLimits.BlockCountMax);
        int embedding = Read("embedding_length", 16, TransformerLimits.WidthMax);
        int headCount = Read("attention.head_count", 1, TransformerLimits.HeadCountMax);
        int headCountKv = metadata.Contains($"{architecture}.attention.head_count_kv")
            ? Read("attention.head_count_kv", 1, TransformerLimits.HeadCountMax)
            : headCount;
        if (headCount % headCountKv != 0)
        {
            throw Error(file, $"{architecture}.attention.head_count_kv", $"a divisor of head_count {headCount}", $"{headCountKv}");
        }

        int keyLength = Read("attention.key_length", 16, TransformerLimits.HeadWidthMax, embedding / headCount);
        int valueLength = Read("attention.value_length", 16, TransformerLimits.HeadWidthMax, keyLength);
        if (valueLength != keyLength)
        {
            throw Error(file, $"{architecture}.attention.value_length", $"key_length {keyLength}", $"{valueLength}");
        }

        if (keyLength % 16 != 0)
        {
            throw Error(file, $"{architecture}.attention.key_length", "a multiple of 16", $"{keyLength}");
        }

        if (embedding % 16 != 0)
        {
            throw Error(file, $"{architecture}.embedding_length", "a multiple of 16", $"{embedding}");
        }

        foreach (string perLayer in (string[])["attention.head_count", "attention.head_count_kv", "feed_forward_length"])
        {
            string name = $"{architecture}.{perLayer}";
            for (int layer = 1; metadata.Contains(name) && layer < blockCount; layer++)
            {
                if (metadata.GetIntegerAt(name, layer) != metadata.GetIntegerAt(name, 0))
                {
                    throw Error(file, name, "the same value in every layer", $"a different one in layer {layer}");
                }
            }
        }

        if (metadata.GetInteger($"{architecture}.expert_count", 0) > 0)
        {
            throw Error(file, $"{architecture}.expert_count", "0: mixtures of experts are not supported", "experts");
        }

        int contextLength = Read("context_length", 1, TransformerLimits.ContextLengthMax);
        double epsilon = metadata.GetNumber($"{architecture}.attention.layer_norm_rms_epsilon");
        if (!(epsilon >= 0 && epsilon < 1))
        {
            throw Error(file, $"{architecture}.attention.layer_norm_rms_epsilon", "at least 0 and below 1", $"{epsilon}");
        }

        return new TransformerConfig
        {
            Architecture = architecture,
            BlockCount = blockCount,
            ContextLength = contextLength,
            EmbeddingLength = embedding,
            FeedForwardLength = Read("feed_forward_length", 16, TransformerLimits.WidthMax),
            HeadCount = headCount,
            HeadCountKv = headCountKv,
            KeyLength = keyLength,
            RmsEpsilon = (float)epsilon,
            Rope = RopeConfig.Read(file, architecture, keyLength, contextLength),
        };
    }

    internal static GgufException Error(GgufFile file, string key, string expected, string found) =>
        new($"{file.Path}: key '{key}': expected {expected}, found {found}.");
}
