using Sluice.Server.Prices;

namespace Sluice.Server.Configuration;

/// <summary>Finds limits that could not be held: budgets without a ledger, and budgets in dollars over models without a price.</summary>
internal static class MeteringCheck
{
    /// <summary>Reports what it finds.</summary>
    /// <param name="document">Gets the errors.</param>
    /// <param name="root">Of the file.</param>
    /// <param name="options">As read so far, errors included.</param>
    public static void Report(ConfigurationDocument document, ConfigurationSection root, SluiceOptions options)
    {
        ReportSecrets(document, root, options);
        var budgets = options.Keys.Select(static key => key.Limits).Concat(options.Projects.Select(static project => project.Limits)).Append(options.Hub)
            .SelectMany(static limits => limits.Budgets).ToList();
        if (budgets.Count == 0) return;
        var place = root.KeyMark(root.Contains("keys") ? "keys" : root.Contains("projects") ? "projects" : "hub");
        if (options.Ledger is null) document.Report(place, "a budget needs a ledger, so that it outlives a restart: add 'ledger: {}'");
        if (!budgets.Exists(static budget => budget.Unit == BudgetUnit.NanoUsd)) return;
        var unpriced = (options.Models ?? []).Select(static model => model.Id).Where(id => !options.Prices.Models.ContainsKey(id)).ToList();
        if (unpriced.Count > 0)
            document.Report(place, $"a budget in dollars needs the price of every model, or 'free' for it; the price list lacks {string.Join(", ", unpriced.Take(5))}");
        else if (options.Models is null && options.Prices == PriceTable.Empty)
            document.Report(place, "a budget in dollars needs 'prices'");
    }

    // Of one secret in two entries it would be chance who is charged.
    private static void ReportSecrets(ConfigurationDocument document, ConfigurationSection root, SluiceOptions options)
    {
        var known = options.ApiKeys.Select(static key => key.Key).ToHashSet(StringComparer.Ordinal);
        foreach (var key in options.Keys)
        {
            if (!known.Add(key.Key)) document.Report(root.KeyMark("keys"), $"the secret of the key '{key.Id}' stands in another entry too");
        }
        var owners = options.ApiKeys.Select(static key => key.Id).ToHashSet(StringComparer.Ordinal);
        foreach (var key in options.Keys.Where(key => owners.Contains(key.Id)))
            document.Report(root.KeyMark("keys"), $"the name '{key.Id}' is the id of an entry of 'api_keys'; take the entry out, or name the key otherwise");
    }
}
