using System.Collections.Frozen;
using Sluice.Server.Configuration;

namespace Sluice.Server.Models;

/// <summary>A model that may be asked for.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Path">Full path of its GGUF file.</param>
/// <param name="FileBytes">Size of the file when the catalog was made.</param>
/// <param name="Modified">When the file was last written.</param>
public sealed record ModelEntry(string Id, string Path, long FileBytes, DateTimeOffset Modified)
{
    /// <summary>Its other names.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];
}

/// <summary>The models that the hub serves, by name. Immutable.</summary>
public sealed class ModelCatalog
{
    private readonly FrozenDictionary<string, ModelEntry> _byName;

    /// <param name="models">Names unique, upper and lower case being the same.</param>
    public ModelCatalog(IReadOnlyList<ModelEntry> models)
    {
        Models = models;
        _byName = models
            .SelectMany(model => model.Aliases.Prepend(model.Id), (model, name) => KeyValuePair.Create(name, model))
            .ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>In the order of the configuration, or by id.</summary>
    public IReadOnlyList<ModelEntry> Models { get; }

    /// <summary>By id or alias; upper and lower case are the same.</summary>
    public ModelEntry? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Looks up the configured models' files, or takes every file of the folders when no models are configured.</summary>
    /// <param name="options">The configuration.</param>
    /// <param name="folders">See <see cref="ModelFolders.Find"/>.</param>
    /// <exception cref="ConfigurationException">A configured file does not exist.</exception>
    public static ModelCatalog Create(SluiceOptions options, IReadOnlyList<string> folders)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(folders);
        return new ModelCatalog(options.Models is null ? FindAll(folders) : FindConfigured(options.Models, folders));
    }

    private static List<ModelEntry> FindConfigured(IReadOnlyList<ModelOptions> models, IReadOnlyList<string> folders)
    {
        var entries = new List<ModelEntry>();
        var errors = new List<ConfigurationError>();
        foreach (var model in models)
        {
            var candidates = Candidates(model, folders);
            if (candidates.FirstOrDefault(File.Exists) is { } path)
                entries.Add(Describe(model.Id, path) with { Aliases = model.Aliases });
            else
                errors.Add(new ConfigurationError(
                    model.GgufPosition ?? new SourcePosition("models", 1, 1),
                    $"there is no file '{model.Gguf}' for the model '{model.Id}'; looked for {string.Join(" and ", candidates)}"));
        }
        return errors.Count == 0 ? entries : throw new ConfigurationException(errors);
    }

    private static List<string> Candidates(ModelOptions model, IReadOnlyList<string> folders)
    {
        var file = model.GgufPosition?.File;
        var configurationFolder = (file is null ? null : Path.GetDirectoryName(Path.GetFullPath(file))) ?? Environment.CurrentDirectory;
        var isBareName = model.Gguf.AsSpan().IndexOfAny('/', Path.DirectorySeparatorChar) < 0;
        if (!isBareName) return [Path.GetFullPath(model.Gguf, configurationFolder)];
        return [.. folders.Append(configurationFolder).Select(folder => Path.Combine(folder, model.Gguf)).Distinct()];
    }

    private static IEnumerable<ModelEntry> FindFiles(IReadOnlyList<string> folders)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var folder in folders.Where(Directory.Exists))
        {
            foreach (var path in Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal))
            {
                var name = Path.GetFileName(path);
                if (ModelFileName.IsModel(name) && seen.Add(name)) yield return Describe(ModelFileName.ToId(name), path);
            }
        }
    }

    private static List<ModelEntry> FindAll(IReadOnlyList<string> folders)
    {
        var entries = new Dictionary<string, ModelEntry>(StringComparer.OrdinalIgnoreCase);
        foreach (var sameId in FindFiles(folders).GroupBy(entry => entry.Id, StringComparer.OrdinalIgnoreCase))
        {
            var several = sameId.Count() > 1;
            // Two files can still share the long id when only case or folder differ: the earlier folder's wins, like for one file name.
            foreach (var entry in sameId)
            {
                var id = several ? ModelFileName.ToLongId(entry.Path) : entry.Id;
                entries.TryAdd(id, entry with { Id = id });
            }
        }
        return [.. entries.Values.OrderBy(entry => entry.Id, StringComparer.Ordinal)];
    }

    private static ModelEntry Describe(string id, string path)
    {
        var file = new FileInfo(path);
        return new ModelEntry(id, file.FullName, file.Length, new DateTimeOffset(file.LastWriteTimeUtc));
    }
}
