using System.Globalization;
using Sluice.Inference.Gguf;
namespace Sluice.Inference.Architectures;

/// <summary>The keys of one architecture in a file, each checked against a range that a sound model has. Keys are without the architecture.</summary>
/// <param name="file">The file.</param>
/// <param name="architecture">Begins its keys.</param>
/// <param name="contextMax">Most tokens that the model is to be used for; null for those of the file.</param>
internal sealed class PlanReader(GgufFile file, string architecture, int? contextMax = null)
{
    /// <summary>Most tokens that the model is to be used for.</summary>
    public int ContextMax => contextMax ?? int.MaxValue;

    /// <summary>Name as in the file.</summary>
    public string Architecture => architecture;

    /// <summary>Layers, without the heads for drafts that the file counts among them.</summary>
    public int LayerCount { get; } = CountLayers(file, architecture);

    public bool Has(string key) => file.Metadata.Contains(Name(key));

    /// <summary>Whether the file has a tensor of that whole name.</summary>
    public bool HasTensor(string name) => file.Tensors.ContainsKey(name);

    /// <summary>Whether the first layer has a tensor of that name.</summary>
    public bool HasLayerTensor(string name) => HasTensor($"blk.0.{name}.weight");

    /// <summary>A key that must be there when no fallback is given.</summary>
    /// <exception cref="GgufException">The key is missing, no integer, or out of range.</exception>
    public int Integer(string key, int min, int max, int? fallback = null) => IntegerAt(key, 0, min, max, fallback);

    /// <summary>The value of a layer, of a key that has one for all layers or one for each.</summary>
    /// <exception cref="GgufException">The key is missing, no integer, or out of range.</exception>
    public int IntegerAt(string key, int layer, int min, int max, int? fallback = null)
    {
        if (fallback is { } value && !Has(key))
        {
            return value;
        }

        long found = file.Metadata.GetIntegerAt(Name(key), layer);
        return found >= min && found <= max ? (int)found : throw Error(key, $"{min} to {max}", $"{found}");
    }

    /// <summary>A number; null as fallback means that the key must be there.</summary>
    /// <exception cref="GgufException">The key is missing, no number, or out of range.</exception>
    public double Number(string key, double min, double max, double? fallback = null)
    {
        double value = fallback is { } f ? file.Metadata.GetNumber(Name(key), f) : file.Metadata.GetNumber(Name(key));
        return value >= min && value <= max
            ? value
            : throw Error(key, FormattableString.Invariant($"{min} to {max}"), value.ToString(CultureInfo.InvariantCulture));
    }

    public bool Flag(string key, bool fallback) => file.Metadata.GetBoolean(Name(key), fallback);

    /// <summary>A layer's element of a list of booleans; null without the key.</summary>
    public bool? FlagAt(string key, int layer)
    {
        bool[]? flags = file.Metadata.FindBooleans(Name(key));
        return flags == null ? null
            : layer < flags.Length ? flags[layer]
            : throw Error(key, $"an element for layer {layer}", $"{flags.Length} elements");
    }

    public string Text(string key, string fallback) => file.Metadata.FindString(Name(key)) ?? fallback;

    /// <summary>Elements of a list of texts; 0 without.</summary>
    public int CountOf(string key) => file.Metadata.FindUtf8Strings(Name(key))?.Count ?? 0;

    public GgufException Error(string key, string expected, string found) =>
        new($"{file.Path}: key '{Name(key)}': expected {expected}, found {found}.");

    private string Name(string key) => $"{architecture}.{key}";

    private static int CountLayers(GgufFile file, string architecture)
    {
        string key = $"{architecture}.block_count";
        long all = file.Metadata.GetIntegerAt(key, 0);
        long drafting = file.Metadata.GetInteger($"{architecture}.nextn_predict_layers", 0);
        long layers = all - drafting;
        return all <= ModelLimits.BlockCountMax && drafting >= 0 && layers >= 1
            ? (int)layers
            : throw new GgufException($"{file.Path}: key '{key}': expected 1 to {ModelLimits.BlockCountMax}, found {all}.");
    }
}
