using Sluice.Inference.Gguf;
using Sluice.Inference.Scheduling;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>From the name of a model, as typed, to its file and its engine.</summary>
internal static class LocalModelLookup
{
    private const string Suffix = ".gguf";

    /// <summary>A model of the catalog by id or alias, a GGUF file by its path, or the only local model where no name is given.</summary>
    /// <exception cref="CliException">There is no such model, or it runs on an upstream.</exception>
    public static LocalModel Find(ConfigurationLookup lookup, string? name)
    {
        if (name is not null && IsPath(name)) return FromFile(name);
        var catalog = lookup.CreateCatalog();
        var local = catalog.Models.OfType<LocalModel>().ToList();
        return (name, local) switch
        {
            (null, [var only]) => only,
            (null, [_, ..]) => throw new CliException($"There are several models; name one of them: {string.Join(", ", local.Select(model => model.Id))}."),
            (not null, _) when catalog.Find(name) is LocalModel model => model,
            (not null, _) when catalog.Find(name) is not null =>
                throw new CliException($"The model '{name}' runs on an upstream server; this command is for local models only. Ask it through 'sluice serve'."),
            (_, []) => throw new CliException(ModelsCommand.NoModels(lookup.Folders)),
            _ => throw NotFound(catalog, name!),
        };
    }

    /// <summary>What a user reads who names a model that there isn't.</summary>
    public static CliException NotFound(ModelCatalog catalog, string name)
    {
        var names = catalog.Models.SelectMany(static model => model.Aliases.Prepend(model.Id)).ToList();
        var near = Suggestion.Find(name, names) is { } found ? $" did you mean '{found}'?" : "";
        return new CliException($"There is no model '{name}';{near} the models are: {string.Join(", ", catalog.Models.Select(static model => model.Id))}.");
    }

    /// <summary>Loads a model; blocks for a while.</summary>
    /// <exception cref="CliException">It can't be loaded.</exception>
    public static InferenceEngine Load(LocalModel model)
    {
        var path = model.Path;
        try
        {
            return InferenceEngine.Load(path, model.ToEngineOptions());
        }
        catch (GgufException exception)
        {
            throw new CliException(exception.Message, exception);
        }
        catch (OutOfMemoryException exception)
        {
            throw new CliException($"{path} doesn't fit into memory: {exception.Message}", exception);
        }
    }

    // An id has no separators, but a file in the working directory has none either.
    private static bool IsPath(string name) =>
        name.EndsWith(Suffix, StringComparison.OrdinalIgnoreCase) || name.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private static LocalModel FromFile(string path)
    {
        if (Directory.Exists(path)) throw new CliException($"{path} is a folder; name a file in it, or use --models {path}.");
        if (!File.Exists(path)) throw new CliException($"There is no file {path}; 'sluice models' lists the models.");
        var file = GgufFile.FindTarget(path);
        return new LocalModel(Path.GetFileNameWithoutExtension(path), Path.GetFullPath(path), file.Length, file.LastWriteTimeUtc);
    }
}
