using System.CommandLine;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;

namespace Sluice.Cli.Commands;

/// <summary>Makes, lists and changes projects: groups of keys with limits of their own.</summary>
internal static class ProjectsCommand
{
    public static Command Create(Terminal terminal)
    {
        var command = new Command("projects", "Create, list and change projects: keys with common limits");
        command.Subcommands.Add(CreateChange(terminal, "create", "Make a project", isNew: true));
        command.Subcommands.Add(CreateChange(terminal, "update", "Change the limits of a project; what it has used stays used", isNew: false));
        command.Subcommands.Add(CreateList(terminal));
        return command;
    }

    private static Command CreateChange(Terminal terminal, string verb, string description, bool isNew)
    {
        var (config, flags) = (CommonOptions.Config(), new LimitFlags());
        var argument = new Argument<string>("ID") { Description = "1 to 63 letters, digits, dots, hyphens and underscores" }.NotAnOption();
        var command = new Command(verb, description) { argument, config };
        flags.AddTo(command);
        command.SetAction(result =>
        {
            var id = result.GetRequiredValue(argument);
            if (!ApiKey.IsId(id)) throw new CliException($"'{id}' is not a valid id; expected 1 to {ApiKey.IdLengthMax} letters, digits, dots, hyphens and underscores.");
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            if (ConfigurationLookup.Load(terminal, result.GetValue(config), null).Options.Projects.Any(project => project.Id == id))
                throw new CliException($"The project '{id}' stands in the configuration; change it there.");
            var known = LedgerLookup.Use(ledger, static file => file.ReadProjects()).Find(project => project.Id == id);
            if (isNew == known.Id is not null) throw new CliException(isNew ? $"There is a project '{id}' already." : $"There is no project '{id}'.");
            var limits = flags.Apply(known.Limits ?? new StoredLimits(), result);
            var audit = LedgerLookup.Audit(terminal, $"project.{verb}", id, known.Limits?.ToJson(), limits.ToJson());
            LedgerLookup.Use(ledger, file =>
            {
                file.PutProject(id, limits, audit);
                return true;
            });
            terminal.Error.WriteLine($"The project {id} has these limits: {LimitFlags.Describe(limits)}.");
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateList(Terminal terminal)
    {
        var (config, json) = (CommonOptions.Config(), CommonOptions.Json());
        var command = new Command("list", "List the projects") { json, config };
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var listing = new Listing("ID", "LIMITS");
            foreach (var (id, limits) in LedgerLookup.Use(ledger, static file => file.ReadProjects()))
            {
                listing.Add(
                    writer =>
                    {
                        writer.WriteString("id", id);
                        writer.WritePropertyName("limits");
                        writer.WriteRawValue(limits.ToJson());
                    },
                    id, LimitFlags.Describe(limits));
            }

            listing.Write(terminal, result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }
}
