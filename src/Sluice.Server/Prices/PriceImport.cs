using System.Text.Json;

namespace Sluice.Server.Prices;

/// <summary>Prices of one model as a public list has them: dollars per million tokens; null where it says nothing.</summary>
internal sealed record ListedPrice
{
    public decimal? Input { get; init; }

    public decimal? Cached { get; init; }

    public decimal? CacheWrite { get; init; }

    public decimal? Output { get; init; }

    /// <summary>Tokens of a prompt above which <see cref="Dearer"/> holds.</summary>
    public long? Above { get; init; }

    public ListedPrice? Dearer { get; init; }
}

/// <summary>
/// Reads the two public lists that people have: LiteLLM's <c>model_prices_and_context_window.json</c> (an object of models, dollars per
/// token), and the data of <c>genai-prices</c> (a list of providers with their models, dollars per million tokens). Both have had errors that
/// lived for months, so that what is read is checked.
/// </summary>
internal static class PriceImport
{
    private const decimal Million = 1_000_000;

    /// <summary>All models of a list, by the names that it knows them under.</summary>
    /// <exception cref="FormatException">It is none of the two; the message says so.</exception>
    public static Dictionary<string, ListedPrice> Read(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var models = new Dictionary<string, ListedPrice>(StringComparer.OrdinalIgnoreCase);
            if (document.RootElement.ValueKind == JsonValueKind.Object) ReadFlat(document.RootElement, models);
            else if (document.RootElement.ValueKind == JsonValueKind.Array) ReadProviders(document.RootElement, models);
            return models.Count > 0 ? models : throw new FormatException("it has no prices that are known here");
        }
        catch (JsonException exception)
        {
            throw new FormatException("it is not JSON", exception);
        }
    }

    /// <summary>What is wrong with a price; null where nothing is.</summary>
    public static string? FindFault(ListedPrice price)
    {
        if (price is { Input: null } or { Output: null }) return "it has no price of input or output";
        foreach (var amount in (ReadOnlySpan<decimal?>)[price.Input, price.Cached, price.CacheWrite, price.Output])
            if (amount < 0) return "a price is below 0";
        if (price.Input == 0 != (price.Output == 0)) return "input or output costs nothing, and the other does";
        return price.Dearer is { } dearer && FindFault(dearer with { Input = dearer.Input ?? price.Input, Output = dearer.Output ?? price.Output }) is { } fault
            ? $"above {price.Above} tokens {fault}" : null;
    }

    private static void ReadFlat(JsonElement root, Dictionary<string, ListedPrice> models)
    {
        foreach (var model in root.EnumerateObject())
        {
            if (model.Value.ValueKind != JsonValueKind.Object || Number(model.Value, "input_cost_per_token") is not { } input) continue;
            var price = new ListedPrice
            {
                Input = input * Million,
                Output = Number(model.Value, "output_cost_per_token") * Million,
                Cached = Number(model.Value, "cache_read_input_token_cost") * Million,
                CacheWrite = Number(model.Value, "cache_creation_input_token_cost") * Million,
            };
            foreach (var member in model.Value.EnumerateObject())
            {
                const string Prefix = "input_cost_per_token_above_", Suffix = "k_tokens";
                if (!member.Name.StartsWith(Prefix, StringComparison.Ordinal) || !member.Name.EndsWith(Suffix, StringComparison.Ordinal)) continue;
                var threshold = member.Name[Prefix.Length..^Suffix.Length];
                if (!long.TryParse(threshold, out var thousands)) continue;
                price = price with
                {
                    Above = thousands * 1000,
                    Dearer = new ListedPrice
                    {
                        Input = Number(member.Value) * Million,
                        Output = Number(model.Value, $"output_cost_per_token_above_{threshold}{Suffix}") * Million,
                        Cached = Number(model.Value, $"cache_read_input_token_cost_above_{threshold}{Suffix}") * Million,
                        CacheWrite = Number(model.Value, $"cache_creation_input_token_cost_above_{threshold}{Suffix}") * Million,
                    },
                };
            }
            models.TryAdd(model.Name, price);
            // "provider/model" is known by the model alone too.
            if (model.Name.LastIndexOf('/') is > 0 and var slash) models.TryAdd(model.Name[(slash + 1)..], price);
        }
    }

    private static void ReadProviders(JsonElement root, Dictionary<string, ListedPrice> models)
    {
        foreach (var provider in root.EnumerateArray())
        {
            if (provider.ValueKind != JsonValueKind.Object || !provider.TryGetProperty("models"u8, out var list) || list.ValueKind != JsonValueKind.Array) continue;
            foreach (var model in list.EnumerateArray())
            {
                if (model.ValueKind != JsonValueKind.Object || !model.TryGetProperty("id"u8, out var id) || id.ValueKind != JsonValueKind.String) continue;
                if (!model.TryGetProperty("prices"u8, out var prices)) continue;
                // A list has prices of several times; the last one holds now.
                if (prices.ValueKind == JsonValueKind.Array)
                    prices = prices.EnumerateArray().LastOrDefault() is { ValueKind: JsonValueKind.Object } last && last.TryGetProperty("prices"u8, out var inner) ? inner : default;
                if (prices.ValueKind == JsonValueKind.Object) models.TryAdd(id.GetString()!, ReadTiered(prices));
            }
        }
    }

    private static ListedPrice ReadTiered(JsonElement prices)
    {
        var (input, output) = (Tiered(prices, "input_mtok"), Tiered(prices, "output_mtok"));
        var (cached, written) = (Tiered(prices, "cache_read_mtok"), Tiered(prices, "cache_write_mtok"));
        var above = input.Above ?? output.Above;
        return new ListedPrice
        {
            Input = input.Base,
            Output = output.Base,
            Cached = cached.Base,
            CacheWrite = written.Base,
            Above = above,
            Dearer = above is null ? null : new ListedPrice { Input = input.Dearer, Output = output.Dearer, Cached = cached.Dearer, CacheWrite = written.Dearer },
        };
    }

    // A number, or a base and tiers, of which the first counts.
    private static (decimal? Base, long? Above, decimal? Dearer) Tiered(JsonElement prices, string name)
    {
        if (!prices.TryGetProperty(name, out var value)) return default;
        if (value.ValueKind != JsonValueKind.Object) return (Number(value), null, null);
        var first = value.TryGetProperty("tiers"u8, out var tiers) && tiers.ValueKind == JsonValueKind.Array ? tiers.EnumerateArray().FirstOrDefault() : default;
        return first.ValueKind == JsonValueKind.Object
            ? (Number(value, "base"), (long?)Number(first, "start"), Number(first, "price"))
            : (Number(value, "base"), null, null);
    }

    private static decimal? Number(JsonElement of, string name) => of.TryGetProperty(name, out var value) ? Number(value) : null;

    // Lists write 1.25e-06.
    private static decimal? Number(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var number) ? number : null;
}
