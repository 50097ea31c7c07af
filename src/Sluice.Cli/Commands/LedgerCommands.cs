using System.CommandLine;
using System.Globalization;
using Sluice.Server.Ledger;

namespace Sluice.Cli.Commands;

/// <summary>Looks after the ledger: counts it anew, says who changed what, and takes people out of it.</summary>
internal static class LedgerCommands
{
    public static Command CreateLedger(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var verify = new Command("verify", "Count all sums again from the rows; exit code 1 where they differ") { config };
        verify.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            if (LedgerLookup.Use(ledger, static file => file.FindDifference()) is { } difference)
            {
                terminal.Error.WriteLine($"sluice: {difference}");
                return ExitCodes.Incomplete;
            }

            var (answers, attempts) = LedgerLookup.Use(ledger, static file => file.CountRows());
            terminal.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{ledger.Path} agrees: {answers} answers, {attempts} attempts."));
            return ExitCodes.Success;
        });
        var command = new Command("ledger", "Check the ledger");
        command.Subcommands.Add(verify);
        return command;
    }

    public static Command CreateAudit(Terminal terminal)
    {
        var (config, json) = (CommonOptions.Config(), CommonOptions.Json());
        var since = new Option<string?>("--since") { Description = "a date; default is all that there is", HelpName = "DATE" };
        var command = new Command("audit", "List who changed keys, projects and budgets") { since, json, config };
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var from = result.GetValue(since) is { } date ? KeyFlags.ParseMoment(date, terminal.Time.GetUtcNow()) : 0;
            var listing = new Listing("AT", "ACTOR", "ACTION", "TARGET");
            foreach (var row in LedgerLookup.Use(ledger, file => file.ReadAudit(from)))
            {
                var at = DateTimeOffset.FromUnixTimeMilliseconds(row.At).ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);
                listing.Add(
                    writer =>
                    {
                        writer.WriteString("at", at);
                        writer.WriteString("actor", row.Actor);
                        writer.WriteString("action", row.Action);
                        writer.WriteString("target", row.Target);
                        if (row.Before is not null) Raw("before", row.Before);
                        if (row.After is not null) Raw("after", row.After);

                        void Raw(string name, string value)
                        {
                            writer.WritePropertyName(name);
                            writer.WriteRawValue(value);
                        }
                    },
                    at, row.Actor, row.Action, row.Target);
            }

            listing.Write(terminal, result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }

    public static Command CreateForget(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var user = new Option<string>("--user") { Description = "as requests named the person in 'user'", HelpName = "NAME", Required = true };
        var command = new Command("forget", "Take a person out of the ledger; what was used stays") { user, config };
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var count = LedgerLookup.Use(ledger, file =>
            {
                var subject = Subject.HashOf(file.GetSubjectSecret(), result.GetRequiredValue(user));
                return file.Forget(subject, LedgerLookup.Audit(terminal, "subject.forget", subject, null, null));
            });
            terminal.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"The person is taken out of {count} {(count == 1 ? "row" : "rows")}."));
            return ExitCodes.Success;
        });
        return command;
    }
}
