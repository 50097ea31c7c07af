using Sluice.Inference.Gguf;

namespace Sluice.Testing;

/// <summary>
/// A small model with random weights, written as a GGUF file that llama.cpp reads too. The same on every machine, so that numbers which
/// llama.cpp gave for a file hold for the file that a test writes.
/// </summary>
public sealed record TinyModel(string Name)
{
    /// <summary>Tokens: 256 bytes, then the special ones. Not a multiple of 16.</summary>
    public const int VocabularySize = 259;

    private const int SpecialCount = VocabularySize - 256;

    /// <summary>llama, qwen2 or qwen3.</summary>
    public string Architecture { get; init; } = "llama";

    public int Layers { get; init; } = 2;

    public int Embedding { get; init; } = 64;

    public int FeedForward { get; init; } = 96;

    public int Heads { get; init; } = 4;

    public int KeyValueHeads { get; init; } = 2;

    public int KeyLength { get; init; } = 16;

    public float RopeBase { get; init; } = 10000;

    /// <summary>none, linear or yarn.</summary>
    public string RopeScaling { get; init; } = "none";

    public float RopeFactor { get; init; } = 4;

    /// <summary>Context that YaRN stretches.</summary>
    public int OriginalContext { get; init; } = 32;

    /// <summary>Whether a tensor divides the rotation's frequencies, as in Llama 3.1.</summary>
    public bool HasRopeDivisors { get; init; }

    /// <summary>Whether query, key and value have a bias; qwen2 always has.</summary>
    public bool HasBias { get; init; }

    /// <summary>Whether the embedding serves as output matrix.</summary>
    public bool IsTied { get; init; }

    /// <summary>Type of a matrix by its name within a layer, or of token_embd and output.</summary>
    public Func<string, GgufTensorType> TypeOf { get; init; } = static _ => GgufTensorType.F32;

    /// <summary>Null writes none.</summary>
    public string? ChatTemplate { get; init; }

    private int QueryLength => Heads * KeyLength;

    private int KeyValueLength => KeyValueHeads * KeyLength;

    /// <summary>Every model of which llama.cpp's numbers are kept.</summary>
    public static IReadOnlyList<TinyModel> All { get; } =
    [
        new("llama"),
        new("llama-tied") { IsTied = true },
        new("llama-bias") { HasBias = true },
        new("llama-multi-head") { KeyValueHeads = 4, FeedForward = 88 },
        new("llama-one-kv-head") { Heads = 3, KeyValueHeads = 1, KeyLength = 48 },
        new("llama-base") { RopeBase = 500000 },
        new("llama-linear") { RopeScaling = "linear" },
        new("llama-yarn") { RopeScaling = "yarn" },
        new("llama-divisors") { HasRopeDivisors = true, RopeBase = 500000 },
        new("qwen2") { Architecture = "qwen2", RopeBase = 1000000 },
        new("qwen2-tied") { Architecture = "qwen2", IsTied = true },
        new("qwen2-yarn") { Architecture = "qwen2", RopeScaling = "yarn", KeyLength = 32, Heads = 2, KeyValueHeads = 1 },
        new("qwen2-linear") { Architecture = "qwen2", RopeScaling = "linear", RopeFactor = 2 },
        new("qwen3") { Architecture = "qwen3", KeyLength = 48, RopeBase = 1000000 },
        new("qwen3-tied") { Architecture = "qwen3", IsTied = true, KeyLength = 32, Heads = 6, KeyValueHeads = 2 },
        new("qwen3-yarn") { Architecture = "qwen3", KeyLength = 32, RopeScaling = "yarn", RopeFactor = 8 },
        .. Enum.GetValues<GgufTensorType>().Where(type => type != GgufTensorType.F32).Select(type => Wide($"llama-{type}", _ => type)),
        Wide("qwen2-mixed", Mixed) with { Architecture = "qwen2" },
        Wide("qwen3-mixed", Mixed) with { Architecture = "qwen3", KeyLength = 64 },
        Wide("qwen2-tied-Q6_K", _ => GgufTensorType.Q6_K) with { Architecture = "qwen2", IsTied = true },
        Wide("qwen3-tied-Q8_0", _ => GgufTensorType.Q8_0) with { Architecture = "qwen3", IsTied = true },
        Wide("llama-narrow-Q5_1", _ => GgufTensorType.Q5_1) with
        {
            Embedding = 96, FeedForward = 160, Heads = 6, KeyValueHeads = 3, KeyLength = 16,
        },
    ];

    /// <summary>The model of that name.</summary>
    public static TinyModel Get(string name) => All.Single(model => model.Name == name);

    /// <summary>Wide enough for the super-blocks of the K types.</summary>
    public static TinyModel Wide(string name, Func<string, GgufTensorType> typeOf) => new(name)
    {
        Embedding = 256,
        FeedForward = 512,
        Heads = 8,
        KeyValueHeads = 2,
        KeyLength = 32,
        TypeOf = typeOf,
    };

    /// <summary>The file's bytes.</summary>
    /// <param name="transform">What to write in place of a tensor's blocks, as F32; null writes the blocks.</param>
    public byte[] ToArray(Func<GgufTensorType, byte[], long, float[]>? transform = null)
    {
        var writer = new GgufWriter();
        WriteKeys(writer);
        WriteVocabulary(writer, Architecture == "llama" ? "gpt-2" : "qwen2");
        var headDeviation = 3 / Math.Sqrt(Embedding);
        Matrix(writer, "token_embd", Embedding, VocabularySize, IsTied ? headDeviation : 1, transform);
        for (var layer = 0; layer < Layers; layer++)
        {
            WriteLayer(writer, $"blk.{layer}.", transform);
        }

        Norm(writer, "output_norm.weight", Embedding);
        if (!IsTied)
        {
            Matrix(writer, "output", Embedding, VocabularySize, headDeviation, transform);
        }

        if (HasRopeDivisors)
        {
            var divisors = new RandomBlocks(Name + "rope_freqs").Singles(KeyLength / 2, 1);
            writer.AddTensor("rope_freqs.weight", [KeyLength / 2], GgufTensorType.F32, divisors.Select(d => 1 + Math.Abs(d)).ToArray());
        }

        return writer.ToArray();
    }

    private static GgufTensorType Mixed(string name) => name switch
    {
        "blk.0.attn_q" => GgufTensorType.Q4_K,
        "blk.0.attn_k" => GgufTensorType.Q5_K,
        "blk.0.attn_v" => GgufTensorType.Q6_K,
        "blk.0.attn_output" => GgufTensorType.Q4_0,
        "blk.0.ffn_gate" => GgufTensorType.Q8_0,
        "blk.0.ffn_up" => GgufTensorType.Q5_1,
        "blk.0.ffn_down" => GgufTensorType.F16,
        "blk.1.attn_q" => GgufTensorType.Q5_0,
        "blk.1.attn_k" => GgufTensorType.F32,
        "blk.1.attn_v" => GgufTensorType.Q4_1,
        "blk.1.attn_output" => GgufTensorType.BF16,
        "blk.1.ffn_gate" => GgufTensorType.F16,
        "blk.1.ffn_up" => GgufTensorType.Q6_K,
        "blk.1.ffn_down" => GgufTensorType.Q4_K,
        "token_embd" => GgufTensorType.Q5_K,
        _ => GgufTensorType.Q8_0,
    };

    private void WriteKeys(GgufWriter writer)
    {
        var a = Architecture;
        writer.Add("general.architecture", a)
            .Add("general.name", Name)
            .Add($"{a}.block_count", (uint)Layers)
            .Add($"{a}.context_length", 256u)
            .Add($"{a}.embedding_length", (uint)Embedding)
            .Add($"{a}.feed_forward_length", (uint)FeedForward)
            .Add($"{a}.attention.head_count", (uint)Heads)
            .Add($"{a}.attention.head_count_kv", (uint)KeyValueHeads)
            .Add($"{a}.attention.key_length", (uint)KeyLength)
            .Add($"{a}.attention.value_length", (uint)KeyLength)
            .Add($"{a}.attention.layer_norm_rms_epsilon", 1e-5f)
            .Add($"{a}.rope.dimension_count", (uint)KeyLength)
            .Add($"{a}.rope.freq_base", RopeBase)
            .Add($"{a}.vocab_size", (uint)VocabularySize);
        if (ChatTemplate is not null) writer.Add("tokenizer.chat_template", ChatTemplate);
        if (RopeScaling != "none")
        {
            writer.Add($"{a}.rope.scaling.type", RopeScaling)
                .Add($"{a}.rope.scaling.factor", RopeFactor)
                .Add($"{a}.rope.scaling.original_context_length", (uint)OriginalContext);
        }
    }

    /// <summary>Adds the keys of the vocabulary.</summary>
    internal static void WriteVocabulary(GgufWriter writer, string preTokenizer)
    {
        var pieces = new List<string>();
        var next = 256;
        for (var b = 0; b < 256; b++)
        {
            // The alphabet of GPT-2: printable characters of Latin-1 stand for themselves, the others for characters from U+0100 on.
            var prints = b is >= 33 and <= 126 or >= 161 and <= 172 or >= 174;
            pieces.Add(((char)(prints ? b : next++)).ToString());
        }

        for (var i = 0; i < SpecialCount; i++)
        {
            pieces.Add($"<|special_{i}|>");
        }

        writer.Add("tokenizer.ggml.model", "gpt2")
            .Add("tokenizer.ggml.pre", preTokenizer)
            .AddArray("tokenizer.ggml.tokens", pieces)
            .AddArray("tokenizer.ggml.token_type", Enumerable.Range(0, VocabularySize).Select(i => i < 256 ? 1 : 3).ToArray())
            .AddArray("tokenizer.ggml.merges", (string[])["h e"])
            .Add("tokenizer.ggml.bos_token_id", 256u)
            .Add("tokenizer.ggml.eos_token_id", 257u)
            .Add("tokenizer.ggml.add_bos_token", false);
    }

    private void WriteLayer(GgufWriter writer, string prefix, Func<GgufTensorType, byte[], long, float[]>? transform)
    {
        var unit = 1 / Math.Sqrt(Embedding);
        Norm(writer, prefix + "attn_norm.weight", Embedding);

        // Sharp attention, so that a wrong rotation changes what is looked at.
        Matrix(writer, prefix + "attn_q", Embedding, QueryLength, 1.5 * unit, transform);
        Matrix(writer, prefix + "attn_k", Embedding, KeyValueLength, 1.5 * unit, transform);
        Matrix(writer, prefix + "attn_v", Embedding, KeyValueLength, unit, transform);
        Matrix(writer, prefix + "attn_output", QueryLength, Embedding, 1 / Math.Sqrt(QueryLength), transform);
        if (HasBias || Architecture == "qwen2")
        {
            Vector(writer, prefix + "attn_q.bias", QueryLength);
            Vector(writer, prefix + "attn_k.bias", KeyValueLength);
            Vector(writer, prefix + "attn_v.bias", KeyValueLength);
        }

        if (Architecture == "qwen3")
        {
            Norm(writer, prefix + "attn_q_norm.weight", KeyLength);
            Norm(writer, prefix + "attn_k_norm.weight", KeyLength);
        }

        Norm(writer, prefix + "ffn_norm.weight", Embedding);
        Matrix(writer, prefix + "ffn_gate", Embedding, FeedForward, unit, transform);
        Matrix(writer, prefix + "ffn_up", Embedding, FeedForward, unit, transform);
        Matrix(writer, prefix + "ffn_down", FeedForward, Embedding, 1.5 / Math.Sqrt(FeedForward), transform);
    }

    private void Matrix(
        GgufWriter writer, string name, int length, int rows, double deviation, Func<GgufTensorType, byte[], long, float[]>? transform)
    {
        var type = TypeOf(name);
        var random = new RandomBlocks(Name + name);
        long count = (long)length * rows;
        long[] dimensions = [length, rows];
        if (type is GgufTensorType.F32 or GgufTensorType.F16 or GgufTensorType.BF16)
        {
            writer.AddTensor(name + ".weight", dimensions, type, random.Singles(count, deviation));
            return;
        }

        var blocks = random.Blocks(type, count, deviation);
        if (transform == null)
        {
            writer.AddTensor(name + ".weight", dimensions, type, blocks);
        }
        else
        {
            writer.AddTensor(name + ".weight", dimensions, GgufTensorType.F32, transform(type, blocks, count));
        }
    }

    private void Norm(GgufWriter writer, string name, int length) =>
        writer.AddTensor(name, [length], GgufTensorType.F32, [.. new RandomBlocks(Name + name).Singles(length, 0.2).Select(v => 1 + v)]);

    private void Vector(GgufWriter writer, string name, int length) =>
        writer.AddTensor(name, [length], GgufTensorType.F32, new RandomBlocks(Name + name).Singles(length, 0.5));
}
