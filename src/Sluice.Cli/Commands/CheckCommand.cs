using System.CommandLine;
using Sluice.Inference.Gguf;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>Validates a configuration and the headers of the files that it names. Upstreams are not asked.</summary>
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
        foreach (var model in catalog.Models.OfType<LocalModel>())
        {
            try
            {
                using var file = GgufFile.Open(model.Path);
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

        var count = catalog.Models.Count;
        terminal.Output.WriteLine($"{path} is valid: {(count == 1 ? "1 model" : $"{count} models")}, listening on {string.Join(" and ", lookup.Options.Listen)}.");
        return ExitCodes.Success;
    }
}
