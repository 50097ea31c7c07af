using System.Globalization;
using Sluice.Server.Prices;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>Reads a price list: dollars per million tokens, by model and class. Every value is checked, and all errors are told at once.</summary>
internal static class PriceFile
{
    // Dollars per million tokens are pico-dollars per token, times a million.
    private const decimal PicoPerToken = 1_000_000;
    private const decimal DearestPerMillion = 1_000_000;

    private static readonly string[] s_rootKeys = ["version", "currency", "source", "models"];
    private static readonly string[] s_priceKeys = ["input", "cached", "cache_write", "output", "reasoning", "per_request", "tiers"];
    private static readonly string[] s_tierKeys = ["above", "input", "cached", "cache_write", "output", "reasoning"];

    /// <summary>Reads and validates a file.</summary>
    /// <param name="path">Errors name it as it is given.</param>
    /// <exception cref="ConfigurationException">The file is not valid, or can't be read.</exception>
    public static PriceTable Load(string path)
    {
        try
        {
            return Parse(ConfigurationFile.ReadText(path), path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException([new ConfigurationError(new SourcePosition(path, 1, 1), $"the price list can't be read: {exception.Message}")]);
        }
    }

    /// <summary>Validates the text of a file.</summary>
    /// <exception cref="ConfigurationException">The text is not valid.</exception>
    public static PriceTable Parse(string yaml, string fileName)
    {
        var document = new ConfigurationDocument(fileName, static _ => null);
        var table = ConfigurationYaml.Read(yaml, document) is { } root ? ReadRoot(document, root) : PriceTable.Empty;
        return document.Errors.Count == 0 ? table : throw new ConfigurationException(document.Errors);
    }

    private static PriceTable ReadRoot(ConfigurationDocument document, YamlNode node)
    {
        if (document.Mapping(node, "a price list", s_rootKeys) is not { } root) return PriceTable.Empty;
        var version = document.RequiredString(root, "version")?.Value ?? "";
        var models = new Dictionary<string, ModelPrice>(StringComparer.OrdinalIgnoreCase);
        if (root.Find("models") is not YamlMappingNode mapping)
        {
            document.Report(root.Start, "a price list has 'models', a mapping of ids to prices or 'free'");
            return PriceTable.Empty;
        }
        foreach (var (key, value) in mapping.Children)
        {
            if (document.Text(key, "the id of a model") is not var (id, mark)) continue;
            if (!models.TryAdd(id, ReadModel(document, id, value))) document.Report(mark, $"the model '{id}' stands here twice");
        }
        return new PriceTable(version, models);
    }

    private static ModelPrice ReadModel(ConfigurationDocument document, string id, YamlNode node)
    {
        if (node is YamlScalarNode { Value: "free" }) return ModelPrice.Free;
        if (document.Mapping(node, $"the price of '{id}'", s_priceKeys) is not { } section) return ModelPrice.Free;
        var first = ReadTier(document, section, 0, null);
        var tiers = new List<PriceTier> { first };
        foreach (var element in document.Sequence(section, "tiers") ?? [])
        {
            if (document.Mapping(element, "a tier", s_tierKeys) is not { } tier) continue;
            if (document.RequiredString(tier, "above") is not var (text, mark)) continue;
            if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var above) || above < 1)
                document.Report(mark, $"'{text}' is not a valid number of tokens");
            else if (tiers.Exists(other => other.Above == above)) document.Report(mark, $"there are two tiers above {above} tokens");
            else tiers.Add(ReadTier(document, tier, above, first));
        }
        return new ModelPrice(tiers, (long)((document.String(section, "per_request") is var (once, place) ? Amount(document, once, place) : 0) * 1_000_000_000m));
    }

    // What a tier leaves out is as in the first; what the first leaves out is as the class that it belongs to.
    private static PriceTier ReadTier(ConfigurationDocument document, ConfigurationSection section, long above, PriceTier? first)
    {
        var input = Price(document, section, "input", first?.Input);
        var output = Price(document, section, "output", first?.Output);
        return new PriceTier(
            above,
            input,
            Price(document, section, "cached", first is { } a && !section.Contains("input") ? a.Cached : input),
            Price(document, section, "cache_write", first is { } b && !section.Contains("input") ? b.CacheWrite : input),
            output,
            section.Find("reasoning") is YamlScalarNode { Value: "output" } ? output
                : Price(document, section, "reasoning", first is { } c && !section.Contains("output") ? c.Reasoning : output));
    }

    private static long Price(ConfigurationDocument document, ConfigurationSection section, string key, long? otherwise)
    {
        if (document.String(section, key) is var (text, mark)) return (long)(Amount(document, text, mark) * PicoPerToken);
        if (otherwise is null) document.Report(section.Start, $"{section.Name} has no '{key}'");
        return otherwise ?? 0;
    }

    private static decimal Amount(ConfigurationDocument document, string text, YamlDotNet.Core.Mark mark)
    {
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var usd) && usd <= DearestPerMillion) return usd;
        document.Report(mark, $"'{text}' is not a valid price; expected dollars per million tokens, such as 1.25");
        return 0;
    }
}
