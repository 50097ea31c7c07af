using System.CommandLine;
using System.Globalization;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;

namespace Sluice.Cli.Commands;

/// <summary>Tops up a budget: a grant of its own with an end, and no change of the limit.</summary>
internal static class BudgetCommand
{
    public static Command Create(Terminal terminal)
    {
        var command = new Command("budget", "Top up the budget of a key or project");
        command.Subcommands.Add(CreateAdd(terminal));
        return command;
    }

    private static Command CreateAdd(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var target = new Argument<string>("ID") { Description = "the id or name of a key, the id of a project, or 'hub'" }.NotAnOption();
        var amount = new Argument<string>("AMOUNT") { Description = "such as 20usd or 1000000tokens" };
        var until = new Option<string?>("--until")
        {
            Description = "the end of the running day, week or month (UTC), or a date; default is month",
            HelpName = "WHEN",
        };
        var command = new Command("add", "Add an amount to every budget of its unit, until a moment") { target, amount, until, config };
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var now = terminal.Time.GetUtcNow();
            var (unit, count) = LimitFlags.ParseAmount(result.GetRequiredValue(amount));
            var (scope, id) = FindScope(terminal, ledger, result.GetRequiredValue(target), result.GetValue(config));
            var end = ParseEnd(result.GetValue(until) ?? "month", now);
            if (end <= now.ToUnixTimeMilliseconds()) throw new CliException("--until lies in the past.");
            var grant = new GrantRow(scope, id, unit, count, now.ToUnixTimeMilliseconds(), end);
            var after = string.Create(CultureInfo.InvariantCulture, $"{{\"scope\":\"{scope}\",\"amount\":\"{LimitFlags.Amount(unit, count)}\",\"until\":{end / 1000}}}");
            LedgerLookup.Use(ledger, file =>
            {
                file.AddGrant(grant, LedgerLookup.Audit(terminal, "budget.add", id.Length == 0 ? scope : id, null, after));
                return true;
            });
            terminal.Error.WriteLine($"{LimitFlags.Amount(unit, count)} more for the {scope} {id} until {DateTimeOffset.FromUnixTimeMilliseconds(end):yyyy-MM-dd HH:mm} UTC.".Replace("  ", " ", StringComparison.Ordinal));
            return ExitCodes.Success;
        });
        return command;
    }

    private static (string Scope, string Id) FindScope(Terminal terminal, LedgerFile ledger, string target, string? config)
    {
        if (target == "hub") return ("hub", "");
        var options = ConfigurationLookup.Load(terminal, config, null).Options;
        if (LedgerLookup.Use(ledger, file => file.FindKey(target)) is { } key) return ("key", key.Id);
        if (options.Keys.Any(known => known.Id == target)) return ("key", target);
        var isProject = options.Projects.Any(project => project.Id == target)
            || LedgerLookup.Use(ledger, static file => file.ReadProjects()).Exists(project => project.Id == target);
        return isProject ? ("project", target) : throw new CliException($"There is no key or project '{target}'.");
    }

    private static long ParseEnd(string text, DateTimeOffset now) => text is "day" or "week" or "month"
        ? BudgetWindow.At(now, LimitSection.ParsePeriod(text)!.Value, TimeZoneInfo.Utc).End.ToUnixTimeMilliseconds()
        : KeyFlags.ParseMoment(text, now);
}
