using System.CommandLine;
using System.Globalization;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;

namespace Sluice.Cli.Commands;

/// <summary>The options that say what a key or project may use.</summary>
internal sealed class LimitFlags
{
    private readonly Option<string?> _rpm = new("--rpm") { Description = "requests a minute; 'none' for any number", HelpName = "N" };
    private readonly Option<string?> _tpm = new("--tpm") { Description = "tokens a minute; 'none' for any number", HelpName = "N" };
    private readonly Option<string?> _parallel = new("--parallel") { Description = "answers in progress at a time; 'none' for any number", HelpName = "N" };
    private readonly Option<string[]> _budgets = new("--budget")
    {
        Description = "a budget such as 5usd/day or 1000000tokens/month, windows: hour, day, week, month, total; may be repeated; 'none' takes all away",
        HelpName = "BUDGET",
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<string?> _zone = new("--zone") { Description = "where the days of the budgets begin, such as Europe/Berlin; default is UTC", HelpName = "ZONE" };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (ReadOnlySpan<Option>)[_rpm, _tpm, _parallel, _budgets, _zone]) command.Options.Add(option);
    }

    /// <summary>The limits with what the options change.</summary>
    /// <exception cref="CliException">An option is wrong.</exception>
    public StoredLimits Apply(StoredLimits limits, ParseResult result)
    {
        var zone = result.GetValue(_zone);
        if (zone is not null && !TimeZoneInfo.TryFindSystemTimeZoneById(zone, out _))
            throw new CliException($"'{zone}' is not a known time zone; expected a name such as Europe/Berlin.");
        var budgets = result.GetValue(_budgets) is not { Length: > 0 } texts ? limits.Budgets
            : texts is ["none"] ? []
            : [.. texts.Select(text => ParseBudget(text, zone))];
        if (budgets.GroupBy(static budget => (budget.Unit, budget.Per, budget.Zone)).FirstOrDefault(static same => same.Count() > 1) is { } doubled)
            throw new CliException($"There are two budgets for one {doubled.Key.Per.ToString().ToLowerInvariant()}; one amount per unit and window.");
        return limits with
        {
            Rpm = (int?)Count(result.GetValue(_rpm), "--rpm", limits.Rpm, int.MaxValue),
            Tpm = Count(result.GetValue(_tpm), "--tpm", limits.Tpm, 1_000_000_000_000),
            Parallel = (int?)Count(result.GetValue(_parallel), "--parallel", limits.Parallel, int.MaxValue),
            Budgets = budgets,
        };
    }

    /// <summary>Limits in one line; a hyphen where there are none.</summary>
    public static string Describe(StoredLimits limits)
    {
        List<string> parts = [];
        if (limits.Rpm is { } rpm) parts.Add(string.Create(CultureInfo.InvariantCulture, $"{rpm} rpm"));
        if (limits.Tpm is { } tpm) parts.Add(string.Create(CultureInfo.InvariantCulture, $"{tpm} tpm"));
        if (limits.Parallel is { } parallel) parts.Add(string.Create(CultureInfo.InvariantCulture, $"{parallel} at a time"));
        parts.AddRange(limits.Budgets.Select(static budget =>
            $"{Amount(budget.Unit, budget.Amount)}/{budget.Per.ToString().ToLowerInvariant()}{(budget.Zone is null ? "" : $" {budget.Zone}")}"));
        return parts.Count == 0 ? "-" : string.Join(", ", parts);
    }

    /// <summary>An amount of a budget's unit.</summary>
    public static string Amount(BudgetUnit unit, long amount) => unit == BudgetUnit.NanoUsd
        ? $"{LedgerLookup.Usd(amount)} usd"
        : string.Create(CultureInfo.InvariantCulture, $"{amount} tokens");

    /// <summary>Reads an amount such as <c>5usd</c> or <c>100000tokens</c>.</summary>
    /// <exception cref="CliException">It is none.</exception>
    public static (BudgetUnit Unit, long Amount) ParseAmount(string text)
    {
        var digits = text.TakeWhile(static letter => char.IsAsciiDigit(letter) || letter == '.').Count();
        var (number, unit) = (text[..digits], text[digits..].Trim());
        if (unit == "usd" && LimitSection.ParseUsd(number) is { } nano) return (BudgetUnit.NanoUsd, nano);
        if (unit == "tokens" && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var tokens) && tokens > 0) return (BudgetUnit.Tokens, tokens);
        throw new CliException($"'{text}' is not a valid amount; expected one such as 5usd, 0.25usd or 1000000tokens.");
    }

    private static StoredBudget ParseBudget(string text, string? zone)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || LimitSection.ParsePeriod(text[(slash + 1)..]) is not { } per)
            throw new CliException($"'{text}' is not a valid budget; expected one such as 5usd/day, with hour, day, week, month or total as its window.");
        var (unit, amount) = ParseAmount(text[..slash]);
        return new StoredBudget(unit, amount, per, zone);
    }

    private static long? Count(string? text, string option, long? before, long max)
    {
        if (text is null) return before;
        if (text == "none") return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count >= 1 && count <= max
            ? count
            : throw new CliException($"{option} is a whole number from 1 on, or 'none', not '{text}'.");
    }
}
