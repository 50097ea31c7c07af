using Sluice.Inference.Gguf;

namespace Sluice.Testing;

/// <summary>
/// A small model of any architecture with random weights, written as a GGUF file that llama.cpp reads too: keys and tensors as its family has
/// them. The same on every machine. The vocabulary is that of <see cref="TinyModel"/>.
/// </summary>
/// <param name="name">Seeds the weights.</param>
/// <param name="architecture">Begins the keys.</param>
public sealed class TinyArchitecture(string name, string architecture)
{
    private readonly List<(string Key, bool IsNumber, Action<GgufWriter> Write)> _keys = [];
    private readonly List<(string Name, long[] Dimensions, double? Deviation, Func<RandomBlocks, long, float[]> Fill)> _tensors = [];

    public string Name => name;

    public string Architecture => architecture;

    /// <summary>Adds a number, as u32 or f32.</summary>
    public TinyArchitecture Key(string key, object value)
    {
        var whole = $"{architecture}.{key}";
        _keys.Add((key, value is int or float or double or int[], writer => _ = value switch
        {
            int number => writer.Add(whole, (uint)number),
            float number => writer.Add(whole, number),
            double number => writer.Add(whole, (float)number),
            bool flag => writer.Add(whole, flag),
            string text => writer.Add(whole, text),
            int[] numbers => writer.AddArray(whole, numbers),
            string[] texts => writer.AddArray(whole, texts),
            bool[] flags => writer.AddArray(whole, flags),
            _ => throw new ArgumentException($"{key}: no such kind of value.", nameof(value)),
        }));
        return this;
    }

    /// <summary>Keys that have a number or numbers.</summary>
    public IEnumerable<string> NumberKeys => _keys.Where(static k => k.IsNumber).Select(static k => k.Key);

    /// <summary>Says that the vocabulary has two types of texts.</summary>
    public TinyArchitecture WithTokenTypes()
    {
        _keys.Add(("token_types", false, static writer => writer.Add("tokenizer.ggml.token_type_count", 2u)));
        return this;
    }

    /// <summary>Adds a key of the tokenizer.</summary>
    public TinyArchitecture TokenizerKey(string key, object value)
    {
        var whole = "tokenizer." + key;
        _keys.Add((whole, false, writer => _ = value switch
        {
            int number => writer.Add(whole, (uint)number),
            bool flag => writer.Add(whole, flag),
            string text => writer.Add(whole, text),
            _ => throw new ArgumentException($"{key}: no such kind of value.", nameof(value)),
        }));
        return this;
    }

    /// <summary>The same model, whose keys can be changed without changing this one's.</summary>
    public TinyArchitecture Copy()
    {
        var copy = new TinyArchitecture(name, architecture);
        copy._keys.AddRange(_keys);
        copy._tensors.AddRange(_tensors);
        return copy;
    }

    /// <summary>Says something else for a key.</summary>
    public TinyArchitecture Replace(string key, object value)
    {
        _keys.RemoveAll(k => k.Key == key);
        return Key(key, value);
    }

    /// <summary>Adds a matrix whose products have about the size of what they read, times a factor. Dimensions as in the file, row length first.</summary>
    public TinyArchitecture Scaled(string tensor, double factor, params long[] dimensions)
    {
        var deviation = factor / Math.Sqrt(dimensions[0]);
        _tensors.Add((tensor, dimensions, deviation, (random, count) => random.Singles(count, deviation)));
        return this;
    }

    public TinyArchitecture Matrix(string tensor, params long[] dimensions) => Scaled(tensor, 1, dimensions);

    /// <summary>Adds gains around 1.</summary>
    public TinyArchitecture Gain(string tensor, params long[] dimensions) =>
        Add(tensor, dimensions, (random, count) => [.. random.Singles(count, 0.15).Select(static v => 1 + v)]);

    /// <summary>Adds biases around 0.</summary>
    public TinyArchitecture Bias(string tensor, params long[] dimensions) => Add(tensor, dimensions, (random, count) => random.Singles(count, 0.3));

    /// <summary>Adds numbers of any kind.</summary>
    public TinyArchitecture Add(string tensor, long[] dimensions, Func<RandomBlocks, long, float[]> fill)
    {
        _tensors.Add((tensor, dimensions, null, fill));
        return this;
    }

    /// <summary>The file's bytes. The name in it is none of a family, or llama.cpp looks for that family's tokens.</summary>
    /// <param name="type">Of the matrices whose rows are whole blocks of it; other tensors are F32.</param>
    /// <param name="transform">What to write in place of a tensor's blocks, as F32; null writes the blocks.</param>
    /// <param name="hasExpertsApart">Whether experts have tensors of their own, as in the files of the first models that had some.</param>
    public byte[] ToArray(
        GgufTensorType type = GgufTensorType.F32, Func<GgufTensorType, byte[], long, float[]>? transform = null, bool hasExpertsApart = false)
    {
        var writer = new GgufWriter().Add("general.architecture", architecture).Add("general.name", "tiny");
        foreach (var (_, _, write) in _keys)
        {
            write(writer);
        }

        TinyModel.WriteVocabulary(writer, "qwen2");
        foreach (var (tensor, dimensions, deviation, fill) in _tensors)
        {
            var count = dimensions.Aggregate(1L, static (product, d) => product * d);
            var random = new RandomBlocks(name + tensor);
            const string Experts = "_exps.weight";
            if (hasExpertsApart && tensor.EndsWith(Experts, StringComparison.Ordinal))
            {
                var all = fill(random, count);
                var length = (int)(dimensions[0] * dimensions[1]);
                for (var expert = 0; expert < dimensions[2]; expert++)
                {
                    writer.AddTensor(
                        $"{tensor[..^Experts.Length]}.{expert}.weight", [dimensions[0], dimensions[1]], GgufTensorType.F32, all.AsSpan(expert * length, length));
                }

                continue;
            }

            if (type == GgufTensorType.F32 || deviation == null || dimensions.Length < 2 || dimensions[0] % GgufTensorTypes.BlockElements(type) != 0)
            {
                writer.AddTensor(tensor, dimensions, GgufTensorType.F32, fill(random, count));
                continue;
            }

            var blocks = random.Blocks(type, count, deviation.Value);
            _ = transform == null
                ? writer.AddTensor(tensor, dimensions, type, blocks)
                : writer.AddTensor(tensor, dimensions, GgufTensorType.F32, transform(type, blocks, count));
        }

        return writer.ToArray();
    }
}
