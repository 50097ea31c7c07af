using Sluice.Protocol.Answers;

namespace Sluice.Server.Prices;

/// <summary>Prices of one token of each class, in pico-dollars: dollars per million tokens, times a million.</summary>
/// <param name="Above">Of requests whose prompt has more tokens than this.</param>
/// <param name="Input">Of the prompt, neither read from a cache nor written to one.</param>
/// <param name="Cached">Read from a cache.</param>
/// <param name="CacheWrite">Written to a cache.</param>
/// <param name="Output">Of the answer.</param>
/// <param name="Reasoning">Of its reasoning, in place of <paramref name="Output"/>.</param>
public readonly record struct PriceTier(long Above, long Input, long Cached, long CacheWrite, long Output, long Reasoning)
{
    /// <summary>The dearest that a token of a prompt may be.</summary>
    public long DearestInput => long.Max(Input, long.Max(Cached, CacheWrite));

    /// <summary>The dearest that a token of an answer may be.</summary>
    public long DearestOutput => long.Max(Output, Reasoning);
}

/// <summary>What a model's tokens cost. Amounts are nano-dollars in 64 bits; each is rounded once, half up.</summary>
public sealed class ModelPrice
{
    // Within this share of the next threshold the estimate of a prompt may be wrong about its tier.
    private const double EstimateError = 0.05;
    private const long PicoPerNano = 1000;

    private readonly PriceTier[] _tiers;

    /// <param name="tiers">At least one; one of them begins at 0.</param>
    /// <param name="perRequest">Nano-dollars of each request.</param>
    public ModelPrice(IEnumerable<PriceTier> tiers, long perRequest = 0)
    {
        _tiers = [.. tiers.OrderByDescending(static tier => tier.Above)];
        PerRequest = perRequest;
    }

    /// <summary>Costs nothing.</summary>
    public static ModelPrice Free { get; } = new([default]);

    /// <summary>Nano-dollars of each request.</summary>
    public long PerRequest { get; }

    /// <summary>Of all tokens of a request with such a prompt.</summary>
    public PriceTier TierOf(long promptTokens)
    {
        foreach (var tier in _tiers) if (promptTokens > tier.Above || tier.Above == 0) return tier;
        return _tiers[^1];
    }

    /// <summary>The tier that a request might turn out to be in, of whose prompt there is an estimate.</summary>
    public PriceTier DearestTierOf(long estimatedTokens) => TierOf(estimatedTokens + (long)(estimatedTokens * EstimateError));

    /// <summary>What an attempt costs, in nano-dollars.</summary>
    public long Of(in AnswerUsage usage)
    {
        var tier = TierOf(usage.PromptTokens);
        // Providers count cached tokens beside the prompt or within it; here they are within it, and never more than it.
        long cached = int.Clamp(usage.CachedTokens, 0, usage.PromptTokens);
        long written = int.Clamp(usage.CacheWrittenTokens, 0, usage.PromptTokens - (int)cached);
        long reasoning = int.Clamp(usage.ReasoningTokens, 0, usage.CompletionTokens);
        var pico = (Int128)tier.Input * (usage.PromptTokens - cached - written) + (Int128)tier.Cached * cached + (Int128)tier.CacheWrite * written
            + (Int128)tier.Output * (usage.CompletionTokens - reasoning) + (Int128)tier.Reasoning * reasoning;
        return PerRequest + (long)((pico + PicoPerNano / 2) / PicoPerNano);
    }

    /// <summary>The most that so many tokens can cost, in nano-dollars, rounded up; without <see cref="PerRequest"/>.</summary>
    public static long Most(in PriceTier tier, long promptTokens, long outputTokens) =>
        (long)(((Int128)tier.DearestInput * promptTokens + (Int128)tier.DearestOutput * outputTokens + PicoPerNano - 1) / PicoPerNano);
}

/// <summary>The prices of all models.</summary>
/// <param name="Version">Stands with every amount.</param>
/// <param name="Models">By id; <see cref="ModelPrice.Free"/> for what costs nothing.</param>
public sealed record PriceTable(string Version, IReadOnlyDictionary<string, ModelPrice> Models)
{
    /// <summary>Nothing is priced.</summary>
    public static PriceTable Empty { get; } = new("none", new Dictionary<string, ModelPrice>());
}
