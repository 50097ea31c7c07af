using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>Reads the weights of layers as their plans say, in the order in which a step needs them. Matrices may be fused or apart.</summary>
internal sealed unsafe class LayerReader(WeightReader reader, ModelPlan model)
{
    private int Embedding => model.EmbeddingLength;

    /// <exception cref="Gguf.GgufException">A tensor is missing or has another shape than the plan says.</exception>
    public LayerWeights Read(LayerPlan plan)
    {
        string prefix = $"blk.{plan.Index}.";
        NormWeights mixerNorm = reader.Norm(Named(plan.MixerNorm), Embedding);
        AttentionWeights? attention = plan.Attention is { } a ? (a.Latent is { } latent ? ReadLatent(prefix, a, latent) : ReadAttention(prefix, a)) : null;
        RecurrentWeights? recurrent = plan.Recurrent is { } r ? new StateWeightReader(reader, Embedding).Read(prefix, r) : null;
        var mixerEnd = new BranchEnd
        {
            Bias = plan.Attention == null ? null : reader.FindVector(prefix + "attn_output.bias", Embedding),
            Norm = reader.Norm(Named(plan.PostMixerNorm), Embedding),
            SumNorm = reader.Norm(Named(plan.MixerSumNorm), Embedding),
            Scale = plan.ResidualScale,
        };
        float outputScale = plan.HasOutputScale ? reader.Scalar(prefix + "layer_output_scale.weight") : 1;
        return new LayerWeights
        {
            Plan = plan,
            MixerNorm = mixerNorm,
            Attention = attention,
            Recurrent = recurrent,
            MixerEnd = mixerEnd,
            FeedForwardNorm = reader.Norm(Named(plan.FeedForwardNorm), Embedding),
            FeedForward = plan.FeedForward is { } f ? ReadFeedForward(prefix, "", f.Length, f.Activation) : null,
            Experts = plan.Experts is { } e ? ReadExperts(prefix, e, isBeside: plan.FeedForward != null) : null,
            PerLayer = model.PerLayerLength > 0 ? ReadPerLayer(prefix, outputScale) : null,
            FeedForwardEnd = new BranchEnd
            {
                OutputScale = model.PerLayerLength > 0 ? 1 : outputScale,
                Bias = plan.FeedForward == null ? null : reader.FindVector(prefix + "ffn_down.bias", Embedding),
                Norm = reader.Norm(Named(plan.PostFeedForwardNorm), Embedding),
                ExpertNorm = plan is { FeedForward: not null, Experts: not null } ? reader.Norm(prefix + "post_ffw_norm_2", Embedding) : default,
                SumNorm = reader.Norm(Named(plan.FeedForwardSumNorm), Embedding),
                Scale = plan.ResidualScale,
            },
        };

        string? Named(string? name) => name == null ? null : prefix + name;
    }

    private PerLayerWeights ReadPerLayer(string prefix, float outputScale) => new()
    {
        Gate = reader.Matrix(prefix + "inp_gate.weight", model.PerLayerLength, Embedding),
        Projection = reader.Matrix(prefix + "proj.weight", Embedding, model.PerLayerLength),
        End = new BranchEnd { Norm = reader.Norm(prefix + "post_norm", Embedding), OutputScale = outputScale },
    };

    private AttentionWeights ReadLatent(string prefix, AttentionPlan plan, LatentPlan latent)
    {
        int head = latent.FixedLength + latent.TurningLength;
        int rank = latent.QueryRank;
        return new AttentionWeights
        {
            Query = reader.Matrix(
                prefix + (rank > 0 ? "attn_q_b.weight" : "attn_q.weight"), plan.HeadCount * head, rank > 0 ? rank : Embedding,
                TailHalvesOf(head, latent.FixedLength)),
            Key = reader.Matrix(prefix + "attn_kv_a_mqa.weight", plan.KeyLength, Embedding, TailHalvesOf(plan.KeyLength, latent.Length)),
            Latent = new LatentWeights
            {
                QueryInput = rank > 0 ? reader.Matrix(prefix + "attn_q_a.weight", rank, Embedding) : null,
                QueryNorm = rank > 0 ? reader.Vector(prefix + "attn_q_a_norm.weight", rank) : null,
                Norm = reader.Vector(prefix + "attn_kv_a_norm.weight", latent.Length),
                Keys = Heads("attn_k_b.weight", latent.Length, latent.FixedLength),
                Values = Heads("attn_v_b.weight", latent.HeadLength, latent.Length),
            },
            Output = reader.Matrix(prefix + "attn_output.weight", Embedding, plan.OutputLength),
        };

        PackedMatrix[] Heads(string name, int rows, int length) => [.. Enumerable.Range(0, plan.HeadCount).Select(
            h => reader.Rows(prefix + name, (long)plan.HeadCount * rows, length, (long)h * rows, rows))];
    }

    private AttentionWeights ReadAttention(string prefix, AttentionPlan plan)
    {
        bool isFused = reader.Has(prefix + "attn_qkv.weight");
        int queries = plan.QueryLength;
        int keys = plan.KeysLength;
        int all = queries + keys + plan.ValuesLength;
        Func<int, int>? halves = plan.IsInterleaved && plan.Rope >= 0
            ? HalvesOf(plan.KeyLength, model.Ropes[plan.Rope].DimensionCount)
            : null;
        bool isShared = plan.SharesCacheOf != null;

        // Without values of their own, heads have their keys, before these are normalised and turn.
        bool hasValue = isFused || !plan.NormalizesValues || plan.ValueLength != plan.KeyLength || reader.Has(prefix + "attn_v.weight");
        bool isWhole = plan.HeadNorm == HeadNorm.WholeProjection;
        return new AttentionWeights
        {
            Query = plan.HasOutputGate ? GatedPart(0) : Part("attn_q", 0, queries, halves),
            Gate = plan.HasOutputGate ? GatedPart(plan.KeyLength) : null,
            Key = isShared ? null : Part("attn_k", queries, keys, halves),
            Value = isShared || !hasValue ? null : Part("attn_v", queries + keys, plan.ValuesLength, null),
            QueryBias = PartBias("attn_q", 0, queries, halves),
            KeyBias = PartBias("attn_k", queries, keys, halves),
            ValueBias = PartBias("attn_v", queries + keys, plan.ValuesLength, null),
            QueryNorm = HeadNormOf("attn_q_norm.weight", queries),
            KeyNorm = isShared ? null : HeadNormOf("attn_k_norm.weight", keys),
            Sinks = plan.HasSinks ? reader.Vector(prefix + "attn_sinks.weight", plan.HeadCount) : null,
            Output = reader.Matrix(prefix + "attn_output.weight", Embedding, plan.OutputLength),
        };

        float* HeadNormOf(string name, int all) => plan.HeadNorm switch
        {
            HeadNorm.UnitAfterRope => null,
            HeadNorm.IfPresent => reader.FindVector(prefix + name, plan.KeyLength, halves),
            _ => reader.Ordered(prefix + name, isWhole ? all : plan.KeyLength, halves),
        };

        // Of each head the rows of the query, then as many of the gate.
        PackedMatrix GatedPart(int first) => reader.Rows(
            prefix + "attn_q.weight", 2L * queries, Embedding, first, queries, row => row + (row / plan.KeyLength * plan.KeyLength));

        PackedMatrix Part(string name, int firstRow, int rows, Func<int, int>? order) => isFused
            ? reader.Rows(prefix + "attn_qkv.weight", all, Embedding, firstRow, rows, order)
            : reader.Matrix(prefix + name + ".weight", rows, Embedding, order);

        float* PartBias(string name, int first, int length, Func<int, int>? order) => isFused
            ? reader.FindPart(prefix + "attn_qkv.bias", all, first, length, order)
            : reader.FindVector(prefix + name + ".bias", length, order);
    }

    // A gate of its own, or the first half of one matrix with "up".
    private FeedForwardWeights ReadFeedForward(string prefix, string suffix, int length, Activation activation)
    {
        string gate = $"{prefix}ffn_gate{suffix}";
        string up = $"{prefix}ffn_up{suffix}";
        bool isGated = activation is not (Activation.GeluUngated or Activation.SquaredReluUngated);
        bool isFused = isGated && !reader.Has(gate + ".weight");
        int all = isFused ? 2 * length : length;
        return new FeedForwardWeights
        {
            Activation = activation,
            Gate = !isGated ? null
                : isFused ? reader.Rows(up + ".weight", all, Embedding, 0, length)
                : reader.Matrix(gate + ".weight", length, Embedding),
            Up = reader.Rows(up + ".weight", all, Embedding, all - length, length),
            GateBias = !isGated ? null : isFused ? reader.FindPart(up + ".bias", all, 0, length) : reader.FindVector(gate + ".bias", length),
            UpBias = reader.FindPart(up + ".bias", all, all - length, length),
            Down = reader.Matrix($"{prefix}ffn_down{suffix}.weight", Embedding, length),
        };
    }

    private ExpertWeights ReadExperts(string prefix, ExpertPlan plan, bool isBeside)
    {
        int count = plan.Count;
        int length = plan.Length;
        bool isGated = plan.Activation is not (Activation.GeluUngated or Activation.SquaredReluUngated);
        bool isFused = isGated && reader.Has(prefix + "ffn_gate_up_exps.weight");

        // Files of the first models with experts have a tensor for each.
        bool isApart = !reader.Has(prefix + "ffn_down_exps.weight") && reader.Has(prefix + "ffn_down.0.weight");
        PackedMatrix router = reader.Matrix(prefix + "ffn_gate_inp.weight", count, Embedding);
        var experts = new FeedForwardWeights[count];
        bool hasDownBias = reader.Has(prefix + "ffn_down_exps.bias");
        float*[] downBiases = new float*[hasDownBias ? count : 0];
        for (int e = 0; e < count; e++)
        {
            experts[e] = new FeedForwardWeights
            {
                Activation = plan.Activation,
                Gate = isFused ? Rows("ffn_gate_up_exps", 2 * length, Embedding, 2 * e * (long)length)
                    : !isGated ? null
                    : isApart ? reader.Matrix($"{prefix}ffn_gate.{e}.weight", length, Embedding)
                    : Rows("ffn_gate_exps", length, Embedding, e * (long)length),
                Up = isApart ? reader.Matrix($"{prefix}ffn_up.{e}.weight", length, Embedding)
                    : isFused ? Rows("ffn_gate_up_exps", 2 * length, Embedding, ((2 * e) + 1) * (long)length)
                    : Rows("ffn_up_exps", length, Embedding, e * (long)length),
                GateBias = BiasOf("ffn_gate_exps", length, e),
                UpBias = BiasOf("ffn_up_exps", length, e),
                Down = isApart
                    ? reader.Matrix($"{prefix}ffn_down.{e}.weight", Embedding, length)
                    : reader.Rows(prefix + "ffn_down_exps.weight", (long)count * Embedding, length, e * (long)Embedding, Embedding),
            };
            if (hasDownBias)
            {
                downBiases[e] = BiasOf("ffn_down_exps", Embedding, e);
            }
        }

        return new ExpertWeights
        {
            Plan = plan,
            Router = router,
            RouterBias = reader.FindVector(prefix + "ffn_gate_inp.bias", count),
            ChoiceBias = reader.FindVector(prefix + "exp_probs_b.bias", count),
            Experts = experts,
            DownBiases = downBiases,
            Shared = plan.SharedLength > 0 ? ReadFeedForward(prefix, "_shexp", plan.SharedLength, plan.Activation) : null,
            SharedGate = reader.FindVector(prefix + "ffn_gate_inp_shexp.weight", Embedding),
            Beside = !isBeside ? null : new BesideWeights
            {
                DenseNorm = reader.Norm(prefix + "post_ffw_norm_1", Embedding),
                InputNorm = reader.Norm(prefix + "pre_ffw_norm_2", Embedding),
                RouterScale = reader.Vector(prefix + "ffn_gate_inp.scale", Embedding),
                DownScale = reader.FindVector(prefix + "ffn_down_exps.scale", count),
            },
        };

        PackedMatrix Rows(string name, int rowsOfExpert, int inputs, long firstRow) =>
            reader.Rows($"{prefix}{name}.weight", (long)count * rowsOfExpert, inputs, firstRow, length);

        float* BiasOf(string name, int values, int expert) =>
            reader.Has($"{prefix}{name}.bias") ? reader.VectorOf($"{prefix}{name}.bias", count, values, expert) : null;
    }

    // The same for what stands at the end of each head, behind what doesn't turn.
    private static Func<int, int> TailHalvesOf(int headLength, int fixedLength)
    {
        Func<int, int> halves = HalvesOf(headLength - fixedLength, headLength - fixedLength);
        return row => row % headLength < fixedLength
            ? row
            : row - (row % headLength) + fixedLength + halves((row % headLength) - fixedLength);
    }

    // Pairs (2i, 2i+1) of the file become (i, i + n/2): one rotation routine with contiguous loads serves all architectures.
    private static Func<int, int> HalvesOf(int headLength, int dimensionCount) => row =>
    {
        int head = row / headLength * headLength;
        int within = row - head;
        int half = dimensionCount / 2;
        return within >= dimensionCount ? row
            : within < half ? head + (2 * within)
            : head + (2 * (within - half)) + 1;
    };
}
