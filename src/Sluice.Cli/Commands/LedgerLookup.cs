using System.Globalization;
using Sluice.Server;
using Sluice.Server.Ledger;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>The ledger that a configuration names, for a command; the hub may have it open meanwhile.</summary>
internal static class LedgerLookup
{
    /// <summary>Opens it. To be disposed.</summary>
    /// <param name="terminal">Says where the user's data folder is.</param>
    /// <param name="config">Of the option --config.</param>
    /// <exception cref="CliException">The configuration has no ledger, or it can't be opened.</exception>
    public static LedgerFile Open(Terminal terminal, string? config)
    {
        var lookup = ConfigurationLookup.Load(terminal, config, null);
        if (lookup.Options.Ledger is not { } options)
        {
            throw new CliException(
                lookup.File is null
                    ? $"There is no {ConfigurationLookup.DefaultFile} here; name the configuration with --config."
                    : $"{lookup.File} has no ledger; add 'ledger: {{}}' to it.");
        }

        var path = options.Path ?? Path.Combine(ModelFolders.DataFolder(terminal.GetVariable), SluiceServer.LedgerName);
        var file = new LedgerFile(path);
        Use(file, static opened =>
        {
            opened.Open();
            return true;
        });
        return file;
    }

    /// <summary>Does something with it.</summary>
    /// <exception cref="CliException">It can't be read or written.</exception>
    public static T Use<T>(LedgerFile file, Func<LedgerFile, T> use)
    {
        try
        {
            return use(file);
        }
        catch (LedgerException exception)
        {
            throw new CliException(exception.Message, exception);
        }
    }

    /// <summary>Who made a change, and when.</summary>
    public static AuditRow Audit(Terminal terminal, string action, string target, string? before, string? after) =>
        new(terminal.Time.GetUtcNow().ToUnixTimeMilliseconds(), $"user:{Environment.UserName}", action, target, before, after);

    /// <summary>A moment as a listing shows it: a day, in UTC; empty for none.</summary>
    public static string Day(long? milliseconds) => milliseconds is { } at
        ? DateTimeOffset.FromUnixTimeMilliseconds(at).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)
        : "";

    /// <summary>Nano-dollars as decimal text with at least two places.</summary>
    public static string Usd(long nano) => string.Create(CultureInfo.InvariantCulture, $"{nano / 1e9m:0.00#######}");
}
