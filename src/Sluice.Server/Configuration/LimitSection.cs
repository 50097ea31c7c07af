using System.Globalization;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>Reads what a key, a project or the hub may use: <c>rpm</c>, <c>tpm</c>, <c>parallel</c> and <c>budget</c>.</summary>
internal static class LimitSection
{
    /// <summary>The keys of a section that has limits.</summary>
    public static readonly string[] Keys = ["rpm", "tpm", "parallel", "budget"];

    private static readonly string[] s_budgetKeys = ["usd", "tokens", "per", "zone", "warn"];

    /// <summary>Errors are reported; what is wrong is left out.</summary>
    public static LimitOptions Read(ConfigurationDocument document, ConfigurationSection section) => new()
    {
        RequestsPerMinute = (int?)Count(document, section, "rpm", int.MaxValue),
        TokensPerMinute = Count(document, section, "tpm", 1_000_000_000_000),
        Parallel = (int?)Count(document, section, "parallel", int.MaxValue),
        Budgets = ReadBudgets(document, section),
    };

    /// <summary>Reads dollars: a decimal number above 0 with at most nine places, as nano-dollars; null for anything else.</summary>
    public static long? ParseUsd(string text)
    {
        const decimal Nano = 1_000_000_000;
        if (!decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var usd)) return null;
        if (usd is <= 0 or > 1_000_000_000) return null;
        var nano = usd * Nano;
        return nano == decimal.Truncate(nano) ? (long)nano : null;
    }

    /// <summary>Reads a window by its name; null for anything else.</summary>
    public static BudgetPeriod? ParsePeriod(string text) => text switch
    {
        "hour" => BudgetPeriod.Hour,
        "day" => BudgetPeriod.Day,
        "week" => BudgetPeriod.Week,
        "month" => BudgetPeriod.Month,
        "total" => BudgetPeriod.Total,
        _ => null,
    };

    private static List<BudgetOptions> ReadBudgets(ConfigurationDocument document, ConfigurationSection section)
    {
        var budgets = new List<BudgetOptions>();
        if (section.Find("budget") is not { } node) return budgets;
        foreach (var element in node is YamlSequenceNode list ? list.Children : [node])
        {
            if (document.Mapping(element, "a budget", s_budgetKeys) is not { } budget || ReadBudget(document, budget) is not { } read) continue;
            if (budgets.Exists(other => other.Unit == read.Unit && other.Per == read.Per && other.Zone.Equals(read.Zone)))
                document.Report(element.Start, "this budget stands here twice: one amount per unit and window");
            else budgets.Add(read);
        }
        return budgets;
    }

    private static BudgetOptions? ReadBudget(ConfigurationDocument document, ConfigurationSection section)
    {
        var (usd, tokens) = (document.String(section, "usd"), Count(document, section, "tokens", long.MaxValue / 4));
        var per = ReadPeriod(document, section);
        var zone = ReadZone(document, section);
        if (section.Contains("usd") == section.Contains("tokens"))
        {
            document.Report(section.Start, "a budget has either 'usd' or 'tokens'");
            return null;
        }
        if (per is null) return null;
        var warn = ReadPercent(document, section);
        if (tokens is { } count) return new BudgetOptions(BudgetUnit.Tokens, count, per.Value) { Zone = zone, WarnPercent = warn };
        if (usd is not var (text, mark)) return null;
        if (ParseUsd(text) is { } nano) return new BudgetOptions(BudgetUnit.NanoUsd, nano, per.Value) { Zone = zone, WarnPercent = warn };
        document.Report(mark, $"'{text}' is not a valid amount; expected dollars above 0, such as 5 or 0.25");
        return null;
    }

    private static BudgetPeriod? ReadPeriod(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.RequiredString(section, "per") is not var (text, mark)) return null;
        if (ParsePeriod(text) is { } period) return period;
        document.Report(mark, $"'{text}' is not a valid window; allowed here: hour, day, week, month, total");
        return null;
    }

    private static TimeZoneInfo ReadZone(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "zone") is not var (name, mark)) return TimeZoneInfo.Utc;
        if (TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone)) return zone;
        document.Report(mark, $"'{name}' is not a known time zone; expected a name such as Europe/Berlin");
        return TimeZoneInfo.Utc;
    }

    private static int? ReadPercent(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "warn") is not var (text, mark)) return null;
        if (text.EndsWith('%') && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var percent) && percent is > 0 and < 100) return percent;
        document.Report(mark, $"'{text}' is not a valid value of 'warn'; expected 1% to 99%");
        return null;
    }

    private static long? Count(ConfigurationDocument document, ConfigurationSection section, string key, long max)
    {
        if (document.String(section, key) is not var (text, mark)) return null;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count >= 1 && count <= max) return count;
        document.Report(mark, $"'{text}' is not a valid value of '{key}'; expected a whole number from 1 to {max}");
        return null;
    }
}
