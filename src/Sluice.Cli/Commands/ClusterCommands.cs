using System.CommandLine;
using System.Globalization;
using Npgsql;
using Sluice.Server.Configuration;
using Sluice.Server.Storage;

namespace Sluice.Cli.Commands;

/// <summary>The hubs that share a database: their tables, and who of them has what.</summary>
internal static class ClusterCommands
{
    public static Command CreateMigrate(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var command = new Command("migrate", "Make or update the tables of a cluster's database") { config };
        command.SetAction(async (result, cancellation) =>
        {
            var options = Find(terminal, result.GetValue(config));
            await using var source = PostgresSource.Create(options.Postgres);
            var before = await UseAsync(source, () => PostgresSchema.PrepareAsync(source, options.Secret, cancellation));
            terminal.Output.WriteLine(
                before == PostgresSchema.Version ? $"The tables in {PostgresSource.NameOf(source)} are of version {before} already."
                : before == 0 ? $"The tables in {PostgresSource.NameOf(source)} are made: version {PostgresSchema.Version}."
                : $"The tables in {PostgresSource.NameOf(source)} are updated from version {before} to {PostgresSchema.Version}.");
            return ExitCodes.Success;
        });
        return command;
    }

    public static Command Create(Terminal terminal)
    {
        var (config, json) = (CommonOptions.Config(), CommonOptions.Json());
        var command = new Command("cluster", "List the hubs of a cluster, their leases and answers") { json, config };
        command.SetAction(async (result, cancellation) =>
        {
            var options = Find(terminal, result.GetValue(config));
            var source = PostgresSource.Create(options.Postgres);
            await using var store = new PostgresAnswerStore(source, options.Secret, Guid.NewGuid(), "");
            var (nodes, counts) = await UseAsync(source, async () => (await store.ListNodesAsync(cancellation), await store.CountAnswersAsync(cancellation)));
            Write(terminal, nodes, counts, result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }

    private static void Write(Terminal terminal, List<ClusterNode> nodes, List<(Guid? Owner, long Open, long Ended)> counts, bool asJson)
    {
        var listing = new Listing(["NODE", "URL", "VERSION", "INSTRUCTIONS", "STATE", "LEASE", "OPEN", "ENDED"]);
        foreach (var node in nodes)
        {
            var (_, open, ended) = counts.Find(count => count.Owner == node.Id);
            var state = !node.IsAlive ? "gone" : node.IsDraining ? "draining" : "ready";
            listing.Add(
                writer =>
                {
                    writer.WriteString("node", node.Id);
                    writer.WriteString("url", node.Url);
                    writer.WriteString("version", node.Version);
                    writer.WriteString("isa", node.Isa);
                    writer.WriteString("state", state);
                    writer.WriteNumber("lease_seconds", double.Round(node.IsAlive ? node.LeaseSeconds : -node.LeaseSeconds, 1));
                    writer.WriteNumber("open", open);
                    writer.WriteNumber("ended", ended);
                    writer.WriteStartArray("models");
                    foreach (var model in node.Models) writer.WriteStringValue(model);
                    writer.WriteEndArray();
                },
                [
                    node.Id.ToString()[..8], node.Url, node.Version, node.Isa, state,
                    string.Create(CultureInfo.InvariantCulture, $"{(node.IsAlive ? "" : "-")}{node.LeaseSeconds:0.0} s"), Number(open), Number(ended),
                ]);
        }

        // What was let go of, or belongs to hubs that nobody remembers.
        var (waiting, kept) = (0L, 0L);
        foreach (var (owner, open, ended) in counts)
        {
            if (nodes.Exists(node => node.Id == owner)) continue;
            waiting += open;
            kept += ended;
        }

        if (waiting + kept > 0)
        {
            listing.Add(
                writer =>
                {
                    writer.WriteNull("node");
                    writer.WriteString("state", "nobody");
                    writer.WriteNumber("open", waiting);
                    writer.WriteNumber("ended", kept);
                },
                ["(nobody)", "", "", "", "", "", Number(waiting), Number(kept)]);
        }

        listing.Write(terminal, asJson);
    }

    private static ClusterOptions Find(Terminal terminal, string? config)
    {
        var lookup = ConfigurationLookup.Load(terminal, config, null);
        return lookup.Options.Cluster ?? throw new CliException(
            lookup.File is null
                ? $"There is no {ConfigurationLookup.DefaultFile} here; name the configuration with --config."
                : $"{lookup.File} has no 'cluster'.");
    }

    private static async Task<T> UseAsync<T>(NpgsqlDataSource source, Func<Task<T>> use)
    {
        try
        {
            return await use();
        }
        catch (StoreException exception)
        {
            throw new CliException(exception.Message, exception);
        }
        catch (Exception exception) when (PostgresSource.IsFailure(exception))
        {
            throw new CliException(PostgresSource.Explain(source, exception).Message, exception);
        }
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
