using System.CommandLine;
using Sluice.Inference;
using Sluice.Inference.Gguf;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>
/// Validates a configuration and the headers of the files that it names; one that only lies in a folder is named if it can't be served.
/// Upstreams are not asked.
/// </summary>
internal static class CheckCommand
{
    public static Command Create(Terminal terminal)
    {
        var file = new Argument<string?>("FILE")
        {
            Description = $"the configuration; default is {ConfigurationLookup.DefaultFile} in the working directory",
            Arity = ArgumentArity.ZeroOrOne,
        }.NotAnOption();
        var models = CommonOptions.Models();
        var command = new Command("check", "Validate a configuration") { file, models };
        command.SetAction(result => Run(terminal, result.GetValue(file) ?? ConfigurationLookup.DefaultFile, result.GetValue(models)));
        return command;
    }

    private static int Run(Terminal terminal, string path, string? models)
    {
        var lookup = ConfigurationLookup.Load(terminal, path, models);
        var catalog = lookup.CreateCatalog();
        var configured = lookup.Options.Models?.ToDictionary(model => model.Id, StringComparer.OrdinalIgnoreCase);
        var errors = new List<ConfigurationError>();
        var leftOut = new List<string>();
        foreach (var model in catalog.Models.OfType<LocalModel>())
        {
            try
            {
                ModelProbe.Check(model.Path);
            }
            catch (GgufException exception) when (configured is null)
            {
                leftOut.Add(exception.Message);
            }
            catch (GgufException exception)
            {
                var position = configured?.GetValueOrDefault(model.Id)?.Position ?? new SourcePosition(path, 1, 1);
                errors.Add(new ConfigurationError(position, exception.Message));
            }
        }

        if (errors.Count > 0)
        {
            throw new ConfigurationException(errors);
        }

        foreach (var fault in leftOut)
        {
            terminal.Error.WriteLine($"sluice: not served: {fault}");
        }

        var count = catalog.Models.Count - leftOut.Count;
        if (count == 0 && leftOut.Count > 0)
        {
            return ExitCodes.Refused;
        }

        terminal.Output.WriteLine($"{path} is valid: {(count == 1 ? "1 model" : $"{count} models")}, listening on {string.Join(" and ", lookup.Options.Listen)}.");
        return ExitCodes.Success;
    }
}
