using System.CommandLine;
using System.Globalization;
using System.Text;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Configuration;

namespace Sluice.Cli.Commands;

/// <summary>Who used what: a table with bars, or JSON or CSV for programs.</summary>
internal static class UsageCommand
{
    private const int BarWidth = 20;

    public static Command Create(Terminal terminal)
    {
        var (config, json) = (CommonOptions.Config(), CommonOptions.Json());
        var by = new Option<string?>("--by") { Description = $"what to sum up by, separated by commas: {string.Join(", ", LedgerFile.Groups)}; default is key,model", HelpName = "GROUPS" };
        var from = new Option<string?>("--from") { Description = "a date; default is the first of the month (UTC)", HelpName = "DATE" };
        var to = new Option<string?>("--to") { Description = "a date, not included; default is now", HelpName = "DATE" };
        var key = new Option<string?>("--key") { Description = "only this key, by id or name", HelpName = "KEY" };
        var csv = new Option<bool>("--csv") { Description = "write CSV, for spreadsheets" };
        var command = new Command("usage", "Show who used what, and what it cost") { by, from, to, key, json, csv, config };
        command.SetAction(result =>
        {
            var groups = ParseGroups(result.GetValue(by) ?? "key,model");
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var now = terminal.Time.GetUtcNow();
            var start = result.GetValue(from) is { } first ? KeyFlags.ParseMoment(first, now) : BudgetWindow.At(now, BudgetPeriod.Month, TimeZoneInfo.Utc).Start.ToUnixTimeMilliseconds();
            var end = result.GetValue(to) is { } last ? KeyFlags.ParseMoment(last, now) : now.ToUnixTimeMilliseconds() + 1;
            var id = result.GetValue(key) is { } wanted ? LedgerLookup.Use(ledger, file => file.FindKey(wanted))?.Id ?? wanted : null;
            var sums = LedgerLookup.Use(ledger, file => file.ReadUsage(start, end, groups, id));
            if (result.GetValue(csv)) WriteCsv(terminal.Output, groups, sums);
            else Write(terminal, groups, WithNames(ledger, groups, sums), result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }

    private static string[] ParseGroups(string text)
    {
        var groups = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (Array.Find(groups, static group => !LedgerFile.Groups.Contains(group)) is { } wrong)
            throw new CliException($"'{wrong}' is nothing to sum up by;{CommandLine.Near(wrong, LedgerFile.Groups)} allowed here: {string.Join(", ", LedgerFile.Groups)}.");
        return [.. groups.Distinct()];
    }

    // People know keys by their names.
    private static List<(UsageSum Sum, string[] Texts)> WithNames(LedgerFile ledger, string[] groups, List<UsageSum> sums)
    {
        var names = LedgerLookup.Use(ledger, static file => file.ReadKeys()).ToDictionary(static key => key.Id, static key => key.Name, StringComparer.Ordinal);
        return sums.ConvertAll(sum => (sum, groups.Select((group, i) => group == "key" ? NameOf(sum.Keys[i]) : sum.Keys[i]).ToArray()));

        // A key without an id is known by a hash, whose beginning is enough.
        string NameOf(string key) => key.Length == 0 ? "(everybody)" : names.GetValueOrDefault(key) ?? (key.Length > ApiKey.IdLengthMax ? key[..8] + "…" : key);
    }

    private static void Write(Terminal terminal, string[] groups, List<(UsageSum Sum, string[] Texts)> rows, bool asJson)
    {
        // Where nothing has a price, tokens are what is compared.
        var isPriced = rows.Exists(static row => row.Sum.ChargeNanoUsd > 0);
        var most = rows.Count == 0 ? 0 : rows.Max(row => AmountOf(row.Sum, isPriced));
        var hasBars = terminal.IsOutputInteractive && !asJson;
        string[] titles = [.. groups.Select(static group => group.ToUpperInvariant()), "REQUESTS", "PROMPT", "CACHED", "OUTPUT", "USD", .. hasBars ? [""] : Array.Empty<string>()];
        var listing = new Listing(titles);
        foreach (var (sum, texts) in rows)
        {
            listing.Add(
                writer =>
                {
                    for (var i = 0; i < groups.Length; i++) writer.WriteString(groups[i], sum.Keys[i]);
                    writer.WriteNumber("requests", sum.Requests);
                    writer.WriteNumber("prompt_tokens", sum.Prompt);
                    writer.WriteNumber("cached_tokens", sum.Cached);
                    writer.WriteNumber("output_tokens", sum.Output);
                    writer.WriteNumber("charge_usd", sum.ChargeNanoUsd / 1e9m);
                    writer.WriteNumber("cost_usd", sum.CostNanoUsd / 1e9m);
                },
                [
                    .. texts, Number(sum.Requests), Number(sum.Prompt), Number(sum.Cached), Number(sum.Output), LedgerLookup.Usd(sum.ChargeNanoUsd),
                    .. hasBars ? [BarOf(AmountOf(sum, isPriced), most)] : Array.Empty<string>(),
                ]);
        }

        listing.Write(terminal, asJson);
    }

    private static long AmountOf(UsageSum sum, bool isPriced) => isPriced ? sum.ChargeNanoUsd : sum.Prompt + sum.Output;

    // In eighths of a column.
    private static string BarOf(long amount, long most)
    {
        var eighths = most == 0 ? 0 : (int)(amount / (double)most * BarWidth * 8);
        return new string('█', eighths / 8) + (eighths % 8 > 0 ? ((char)('█' + 8 - eighths % 8)).ToString() : "");
    }

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    // RFC 4180.
    private static void WriteCsv(TextWriter output, string[] groups, List<UsageSum> sums)
    {
        string[] titles = [.. groups, "requests", "prompt_tokens", "cached_tokens", "output_tokens", "charge_usd", "cost_usd"];
        output.Write(string.Join(',', titles) + "\r\n");
        foreach (var sum in sums)
        {
            string[] cells =
            [
                .. sum.Keys.Select(Cell), .. ((long[])[sum.Requests, sum.Prompt, sum.Cached, sum.Output]).Select(static number => number.ToString(CultureInfo.InvariantCulture)),
                LedgerLookup.Usd(sum.ChargeNanoUsd), LedgerLookup.Usd(sum.CostNanoUsd),
            ];
            output.Write(string.Join(',', cells) + "\r\n");
        }
    }

    // A spreadsheet takes a text that begins like this for a formula.
    private static string Cell(string text)
    {
        if (text is ['=' or '+' or '-' or '@' or '\t', ..]) text = "'" + text;
        return text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : new StringBuilder("\"").Append(text.Replace("\"", "\"\"", StringComparison.Ordinal)).Append('"').ToString();
    }
}
