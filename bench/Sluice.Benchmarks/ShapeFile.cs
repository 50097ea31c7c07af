using Sluice.Inference.Gguf;
using Sluice.Testing;

namespace Sluice.Benchmarks;

/// <summary>
/// A file with the keys, tensors and types of a model that people run and weights that are drawn: speed depends on these and not on what the
/// numbers are. Drawn blocks repeat every 8 MiB.
/// </summary>
/// <param name="architecture">Begins the keys.</param>
/// <param name="vocabularySize">Tokens.</param>
/// <param name="layers">Layers of the file.</param>
/// <param name="isMixed">Whether matrices have the types of Q4_K_M; otherwise Q8_0, with experts in MXFP4.</param>
internal sealed class ShapeFile(string architecture, int vocabularySize, int layers, bool isMixed)
{
    private const int PatternBytes = 8 << 20;

    private readonly GgufWriter _writer = new GgufWriter().Add("general.architecture", architecture).Add("general.name", "random");
    private readonly Dictionary<(GgufTensorType Type, long Length), byte[]> _patterns = [];

    public ShapeFile Key(string key, uint value)
    {
        _writer.Add($"{architecture}.{key}", value);
        return this;
    }

    public ShapeFile Key(string key, float value)
    {
        _writer.Add($"{architecture}.{key}", value);
        return this;
    }

    public ShapeFile Key(string key, string value)
    {
        _writer.Add($"{architecture}.{key}", value);
        return this;
    }

    public ShapeFile Keys(string key, int[] values)
    {
        _writer.AddArray($"{architecture}.{key}", values);
        return this;
    }

    /// <summary>A matrix; its type follows from its name, as llama-quantize decides it.</summary>
    public ShapeFile Matrix(string name, params long[] dimensions)
    {
        GgufTensorType type = TypeOf(name, dimensions);
        byte[] pattern = Pattern(type, dimensions[0]);
        long left = dimensions.Aggregate(1L, static (product, d) => product * d) / GgufTensorTypes.BlockElements(type) * GgufTensorTypes.BlockBytes(type);
        _writer.AddTensor(name + ".weight", dimensions, type, stream =>
        {
            for (long rest = left; rest > 0; rest -= pattern.Length)
            {
                stream.Write(pattern, 0, (int)Math.Min(rest, pattern.Length));
            }
        });
        return this;
    }

    /// <summary>Small numbers in single precision: norms, biases, routers, convolutions.</summary>
    public ShapeFile Singles(string name, float middle, double deviation, params long[] dimensions)
    {
        long count = dimensions.Aggregate(1L, static (product, d) => product * d);
        _writer.AddTensor(name, dimensions, GgufTensorType.F32, [.. new RandomBlocks(name).Singles(count, deviation).Select(v => middle + v)]);
        return this;
    }

    public ShapeFile Gain(string name, long length) => Singles(name + ".weight", 1, 0.1, length);

    public void Save(string path)
    {
        string[] tokens = [.. Enumerable.Range(0, vocabularySize).Select(static i => i < 256 ? Byte(i) : $"t{i}")];
        _writer.Add("tokenizer.ggml.model", "gpt2").Add("tokenizer.ggml.pre", "qwen2").AddArray("tokenizer.ggml.tokens", tokens)
            .AddArray("tokenizer.ggml.token_type", Enumerable.Repeat(1, vocabularySize).ToArray())
            .AddArray("tokenizer.ggml.merges", (string[])["h e"]).Add("tokenizer.ggml.bos_token_id", 1u).Add("tokenizer.ggml.eos_token_id", 2u)
            .Add("tokenizer.ggml.add_bos_token", false);
        _writer.Save(path);
    }

    // GPT-2's alphabet: what doesn't print stands for itself further up.
    private static string Byte(int value)
    {
        static bool Prints(int b) => b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
        return ((char)(Prints(value) ? value : 256 + Enumerable.Range(0, value).Count(static b => !Prints(b)))).ToString();
    }

    private GgufTensorType TypeOf(string name, long[] dimensions)
    {
        if (!isMixed)
        {
            return dimensions.Length > 2 ? GgufTensorType.MXFP4 : GgufTensorType.Q8_0;
        }

        bool isBetter = name is "output" or "token_embd";
        if (name.StartsWith("blk.", StringComparison.Ordinal) && (name.Contains("attn_v", StringComparison.Ordinal) || name.Contains("ffn_down", StringComparison.Ordinal)))
        {
            int layer = int.Parse(name.Split('.')[1], System.Globalization.CultureInfo.InvariantCulture);
            isBetter = layer < layers / 8 || layer >= 7 * layers / 8 || (layer - (layers / 8)) % 3 == 2;
        }

        return isBetter ? GgufTensorType.Q6_K : GgufTensorType.Q4_K;
    }

    private byte[] Pattern(GgufTensorType type, long length)
    {
        if (!_patterns.TryGetValue((type, length), out byte[]? pattern))
        {
            // Whole rows, so that a row of a matrix is a row of numbers drawn for its length.
            long rows = Math.Max(1, PatternBytes / (length / GgufTensorTypes.BlockElements(type) * GgufTensorTypes.BlockBytes(type)));
            _patterns[(type, length)] = pattern = new RandomBlocks(type.ToString()).Blocks(type, rows * length, 1 / Math.Sqrt(length));
        }

        return pattern;
    }
}
