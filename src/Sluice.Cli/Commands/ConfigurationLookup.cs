using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>What the options --config and --models lead to.</summary>
/// <param name="File">The configuration that was read; null without one.</param>
/// <param name="Options">Validated.</param>
/// <param name="Folders">Where models are looked for, first match wins.</param>
internal sealed record ConfigurationLookup(string? File, SluiceOptions Options, IReadOnlyList<string> Folders)
{
    /// <summary>Name of the configuration that is read when none is given.</summary>
    public const string DefaultFile = "sluice.yaml";

    /// <summary>The models that there are: the configured ones, or all in the folders.</summary>
    /// <exception cref="ConfigurationException">A configured file doesn't exist.</exception>
    public ModelCatalog CreateCatalog() => ModelCatalog.Create(Options, Folders);

    /// <summary>Reads the given configuration, else the default one where it exists.</summary>
    /// <exception cref="ConfigurationException">It isn't valid.</exception>
    /// <exception cref="CliException">It doesn't exist or can't be read.</exception>
    public static ConfigurationLookup Load(Terminal terminal, string? config, string? models)
    {
        var file = config ?? (System.IO.File.Exists(DefaultFile) ? DefaultFile : null);
        var folders = ModelFolders.Find(models, terminal.GetVariable);
        if (models is not null && !Directory.Exists(models))
        {
            throw new CliException($"There is no folder {models}.");
        }

        return new(file, file is null ? ConfigurationFile.Default(terminal.GetVariable) : Read(terminal, file), folders);
    }

    private static SluiceOptions Read(Terminal terminal, string file)
    {
        if (Directory.Exists(file) || !System.IO.File.Exists(file))
        {
            throw new CliException($"There is no configuration file {file}.");
        }

        return ConfigurationFile.Load(file, terminal.GetVariable);
    }
}
