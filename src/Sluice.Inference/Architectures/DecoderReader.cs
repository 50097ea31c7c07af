namespace Sluice.Inference.Architectures;

/// <summary>What nearly all families read in the same way. A page changes what is different with its own <c>with</c>.</summary>
internal static class DecoderReader
{
    /// <summary>A model whose layers are all like the first one, but for what the file says for each.</summary>
    /// <param name="reader">The file's keys.</param>
    /// <param name="layer">Makes a layer of what the file says about it.</param>
    /// <param name="isHybrid">Whether a layer without key/value heads, or without a feed-forward part, is one of another kind, and not a mistake.</param>
    /// <exception cref="Gguf.GgufException">A key is missing, out of range or not supported.</exception>
    public static ModelPlan Read(PlanReader reader, Func<LayerPlan, LayerPlan>? layer = null, bool isHybrid = false)
    {
        int embedding = reader.Integer("embedding_length", 16, ModelLimits.WidthMax);
        if (embedding % 16 != 0)
        {
            throw reader.Error("embedding_length", "a multiple of 16", $"{embedding}");
        }

        int contextLength = reader.Integer("context_length", 1, ModelLimits.ContextLengthMax);
        LayerPlan[] layers = [.. Enumerable.Range(0, reader.LayerCount).Select(i => ReadLayer(reader, i, embedding, isHybrid))];
        bool hasLayerNorm = reader.Has("attention.layer_norm_epsilon") && !reader.Has("attention.layer_norm_rms_epsilon");
        double epsilon = reader.Number(hasLayerNorm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 0, 1);
        var pooling = (Pooling)reader.Integer("pooling_type", 0, 4, 0);
        return new ModelPlan
        {
            Architecture = reader.Architecture,
            ContextLength = Math.Min(contextLength, reader.ContextMax),
            EmbeddingLength = embedding,
            Norm = hasLayerNorm ? NormKind.Layer : NormKind.RootMeanSquare,
            NormEpsilon = (float)epsilon,
            Layers = layer == null ? layers : [.. layers.Select(layer)],
            Ropes = layers.FirstOrDefault(static l => l.Attention != null)?.Attention is { } attention
                ? [RopeConfig.Read(reader, attention.KeyLength, contextLength)]
                : [],
            LogitCap = (float)reader.Number("final_logit_softcapping", 0, 1e6, 0),
            Pooling = pooling,
            PooledLayers = pooling == Pooling.Rank ? ReadClassifier(reader, embedding) : [],
        };
    }

    private static PooledLayerPlan[] ReadClassifier(PlanReader reader, int embedding)
    {
        var output = new PooledLayerPlan("cls.output", Math.Max(1, reader.CountOf("classifier.output_labels")), HasTanh: false);
        return reader.HasTensor("cls.weight") ? [new PooledLayerPlan("cls", embedding, HasTanh: true), output] : [output];
    }

    private static LayerPlan ReadLayer(PlanReader reader, int index, int embedding, bool isHybrid)
    {
        // Where all layers have experts, files may leave the length of what they don't have out.
        bool hasExperts = reader.Integer("expert_count", 0, ModelLimits.ExpertCountMax, 0) > 0;
        int length = reader.IntegerAt("feed_forward_length", index, isHybrid || hasExperts ? 0 : 1, ModelLimits.WidthMax, hasExperts ? 0 : null);
        return new LayerPlan
        {
            Index = index,
            Attention = ReadAttention(reader, index, embedding, isHybrid ? 0 : 1),
            FeedForward = length > 0 ? new FeedForwardPlan(length) : null,
        };
    }

    private static AttentionPlan? ReadAttention(PlanReader reader, int index, int embedding, int headsMin)
    {
        int headCount = reader.IntegerAt("attention.head_count", index, headsMin, ModelLimits.HeadCountMax);
        int headCountKv = reader.IntegerAt("attention.head_count_kv", index, headsMin, ModelLimits.HeadCountMax, headCount);
        if (headCount == 0 || headCountKv == 0)
        {
            return null;
        }

        if (headCount % headCountKv != 0)
        {
            throw reader.Error("attention.head_count_kv", $"a divisor of head_count {headCount}", $"{headCountKv}");
        }

        int keyLength = ReadHeadLength(reader, "attention.key_length", embedding / headCount);
        return new AttentionPlan
        {
            HeadCount = headCount,
            HeadCountKv = headCountKv,
            KeyLength = keyLength,
            ValueLength = ReadHeadLength(reader, "attention.value_length", keyLength),
            Scale = (float)reader.Number("attention.scale", 0, 1e3, 0) is > 0 and var scale ? scale : 1f / MathF.Sqrt(keyLength),
        };
    }

    /// <summary>Values of a key or a value.</summary>
    public static int ReadHeadLength(PlanReader reader, string key, int fallback)
    {
        int length = reader.Integer(key, 16, ModelLimits.HeadWidthMax, fallback);
        return length % 16 == 0 && length >= 16 ? length : throw reader.Error(key, "a multiple of 16", $"{length}");
    }
}
