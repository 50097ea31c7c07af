using System.CommandLine;
using Sluice.Cli.Doctor;
using Sluice.Server.Configuration;

namespace Sluice.Cli.Commands;

/// <summary>Says what is wrong with this machine, the configuration, the ports, the upstreams and the store, and what to do about it.</summary>
internal static class DoctorCommand
{
    public static Command Create(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var json = CommonOptions.Json();
        var command = new Command("doctor", "Find what is wrong, and the remedy") { config, models, json };
        command.SetAction(async (result, cancellation) =>
        {
            var findings = new List<Finding>(MachineChecks.Run());
            if (Load(terminal, result.GetValue(config), result.GetValue(models), findings) is { } lookup)
            {
                findings.AddRange(ModelChecks.Run(lookup.Options, lookup.Folders, ModelsCommand.NoModels(lookup.Folders)));
                findings.AddRange(await PortChecks.RunAsync(lookup.Options, cancellation));
                findings.AddRange(await UpstreamChecks.RunAsync(lookup.Options, terminal.Time, cancellation));
                findings.AddRange(StoreChecks.Run(lookup.Options, terminal.GetVariable));
            }

            Write(terminal, findings, result.GetValue(json));
            return findings.Any(static finding => finding.IsWrong) ? ExitCodes.Incomplete : ExitCodes.Success;
        });
        return command;
    }

    private static ConfigurationLookup? Load(Terminal terminal, string? config, string? models, List<Finding> findings)
    {
        try
        {
            var lookup = ConfigurationLookup.Load(terminal, config, models);
            findings.Add(Finding.Fine("configuration", lookup.File is { } file ? $"{file} is valid" : "none, the defaults hold"));
            return lookup;
        }
        catch (ConfigurationException exception)
        {
            findings.AddRange(exception.Errors.Select(static error => Finding.Wrong("configuration", error.ToString())));
        }
        catch (Exception exception) when (exception is CliException or IOException or UnauthorizedAccessException)
        {
            findings.Add(Finding.Wrong("configuration", exception.Message));
        }

        return null;
    }

    private static void Write(Terminal terminal, List<Finding> findings, bool asJson)
    {
        if (!asJson)
        {
            foreach (var finding in findings) terminal.Output.WriteLine($"{(finding.IsWrong ? "wrong" : "ok   ")}  {finding.Area}: {finding.Sentence}");
            var count = findings.Count(static finding => finding.IsWrong);
            terminal.Output.WriteLine(count == 0 ? "Nothing is wrong." : $"{Plural.Of(count, "thing")} to put right.");
            return;
        }

        Listing.WriteJson(terminal.Output, json =>
        {
            json.WriteStartArray();
            foreach (var finding in findings)
            {
                json.WriteStartObject();
                json.WriteString("area"u8, finding.Area);
                json.WriteBoolean("ok"u8, !finding.IsWrong);
                json.WriteString("finding"u8, finding.Sentence);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }
}
