using System.Collections.Frozen;
using Sluice.Inference;
using Sluice.Inference.Gguf;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Transformer;
using Sluice.Inference.Sampling;
using Sluice.Server.Configuration;

namespace Sluice.Server.Models;

/// <summary>A model that may be asked for.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Modified">When its file, or the configuration that names it, was last written.</param>
public abstract record ModelEntry(string Id, DateTimeOffset Modified)
{
    /// <summary>Its other names.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Whether answers are kept after their end. The default value is true.</summary>
    public bool KeepsAnswers { get; init; } = true;

    /// <summary>See <see cref="ModelOptions.Cache"/>.</summary>
    public CacheOptions? Cache { get; init; }

    /// <summary>See <see cref="ModelOptions.ReasoningHold"/>.</summary>
    public int ReasoningHold { get; init; }

    /// <summary>Names of models that are asked when this one can't answer.</summary>
    public IReadOnlyList<string> Fallbacks { get; init; } = [];
}

/// <summary>A model that the hub's own engine runs.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Path">Full path of its GGUF file.</param>
/// <param name="FileBytes">Size of the file when the catalog was made.</param>
/// <param name="Modified">When the file was last written.</param>
public sealed record LocalModel(string Id, string Path, long FileBytes, DateTimeOffset Modified) : ModelEntry(Id, Modified)
{
    /// <summary>What holds for requests that leave it out, before what the file recommends. The default value is nothing.</summary>
    public SamplingDefaults Defaults { get; init; } = SamplingDefaults.None;

    /// <summary>Whether an answer that only repeats is ended. The default value is true.</summary>
    public bool EndsRepetition { get; init; } = true;

    /// <summary>Most tokens of prompt and answer together; null for those of the file.</summary>
    public int? Context { get; init; }

    /// <summary>Threads that compute; null for the number of processors.</summary>
    public int? Threads { get; init; }

    /// <summary>How long it stays in memory when nobody uses it; null until its memory is needed.</summary>
    public TimeSpan? KeepAlive { get; init; }

    /// <summary>In what keys and values are kept. The default value is half precision.</summary>
    public KvCacheType CacheType { get; init; }

    /// <summary>What the engine is told.</summary>
    public EngineOptions ToEngineOptions() =>
        new() { ContextLengthMax = Context, ThreadCount = Threads ?? Environment.ProcessorCount, CacheType = CacheType };

    /// <summary>What it is for, by its file; a file that can't be read is for text, and a load says what is wrong with it.</summary>
    internal ModelPurpose ReadPurpose()
    {
        try
        {
            return ModelProbe.ReadPurpose(Path);
        }
        catch (Exception exception) when (exception is GgufException or IOException or UnauthorizedAccessException)
        {
            return ModelPurpose.Text;
        }
    }
}

/// <summary>A model that other servers run.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Route">The servers.</param>
/// <param name="Modified">When the configuration was last written.</param>
public sealed record UpstreamModel(string Id, ModelRouteOptions Route, DateTimeOffset Modified) : ModelEntry(Id, Modified);

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
    /// <param name="folders">Where files are looked for, first match wins; null for the same folders as the program <c>sluice</c>.</param>
    /// <exception cref="ConfigurationException">A configured file does not exist.</exception>
    public static ModelCatalog Create(SluiceOptions options, IReadOnlyList<string>? folders = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        folders ??= ModelFolders.Find();
        return new ModelCatalog(options.Models is null ? FindAll(folders) : FindConfigured(options.Models, folders));
    }

    /// <summary>These models, and those of an application behind them.</summary>
    /// <exception cref="InvalidOperationException">Two have the same name.</exception>
    internal ModelCatalog With(IReadOnlyList<ModelEntry> added)
    {
        if (added.Count == 0) return this;
        var names = new HashSet<string>(_byName.Keys, StringComparer.OrdinalIgnoreCase);
        foreach (var name in added.SelectMany(static model => model.Aliases.Prepend(model.Id)))
        {
            if (!names.Add(name)) throw new InvalidOperationException($"the application has added a model of the name '{name}', and another model has it too.");
        }
        return new ModelCatalog([.. Models, .. added]);
    }

    private static List<ModelEntry> FindConfigured(IReadOnlyList<ModelOptions> models, IReadOnlyList<string> folders)
    {
        var entries = new List<ModelEntry>();
        var errors = new List<ConfigurationError>();
        foreach (var model in models)
        {
            if (Find(model, folders, errors) is { } entry) entries.Add(entry with { Aliases = model.Aliases, Fallbacks = model.Fallbacks, KeepsAnswers = model.KeepsAnswers, ReasoningHold = model.ReasoningHold, Cache = model.Cache });
        }
        CheckShared(models, entries, errors);
        return errors.Count == 0 ? entries : throw new ConfigurationException(errors);
    }

    // Models of one file share an engine, which can be of one kind only.
    private static void CheckShared(IReadOnlyList<ModelOptions> models, List<ModelEntry> entries, List<ConfigurationError> errors)
    {
        foreach (var same in entries.OfType<LocalModel>().GroupBy(static model => model.Path, StringComparer.Ordinal))
        {
            if (same.FirstOrDefault(model => (model.Context, model.Threads, model.KeepAlive, model.CacheType) != (same.First().Context, same.First().Threads, same.First().KeepAlive, same.First().CacheType)) is not { } other) continue;
            errors.Add(new ConfigurationError(
                models.First(model => model.Id == other.Id).Position ?? new SourcePosition("models", 1, 1),
                $"the models '{same.First().Id}' and '{other.Id}' are one file and share an engine; give both the same 'context', 'threads', 'keep_alive' and 'cache_type'"));
        }
    }

    private static ModelEntry? Find(ModelOptions model, IReadOnlyList<string> folders, List<ConfigurationError> errors)
    {
        if (model.Route is { } route)
        {
            var written = model.Position is { } position && File.Exists(position.File) ? File.GetLastWriteTimeUtc(position.File) : DateTime.UnixEpoch;
            return new UpstreamModel(model.Id, route, new DateTimeOffset(written));
        }
        var candidates = Candidates(model, model.Gguf!, folders);
        if (candidates.FirstOrDefault(File.Exists) is { } path) return Describe(model, path);
        errors.Add(new ConfigurationError(
            model.Position ?? new SourcePosition("models", 1, 1),
            $"there is no file '{model.Gguf}' for the model '{model.Id}'; looked for {string.Join(" and ", candidates)}"));
        return null;
    }

    private static List<string> Candidates(ModelOptions model, string gguf, IReadOnlyList<string> folders)
    {
        var file = model.Position?.File;
        var configurationFolder = (file is null ? null : Path.GetDirectoryName(Path.GetFullPath(file))) ?? Environment.CurrentDirectory;
        var isBareName = gguf.AsSpan().IndexOfAny('/', Path.DirectorySeparatorChar) < 0;
        if (!isBareName) return [Path.GetFullPath(gguf, configurationFolder)];
        return [.. folders.Append(configurationFolder).Select(folder => Path.Combine(folder, gguf)).Distinct()];
    }

    private static IEnumerable<LocalModel> FindFiles(IReadOnlyList<string> folders)
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

    private static List<LocalModel> FindAll(IReadOnlyList<string> folders)
    {
        var entries = new Dictionary<string, LocalModel>(StringComparer.OrdinalIgnoreCase);
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

    private static LocalModel Describe(ModelOptions model, string path) =>
        Describe(model.Id, path) with { Defaults = model.Defaults, EndsRepetition = model.EndsRepetition, Context = model.Context, Threads = model.Threads, KeepAlive = model.KeepAlive, CacheType = model.CacheType };

    private static LocalModel Describe(string id, string path)
    {
        var file = GgufFile.FindTarget(path);
        return new LocalModel(id, Path.GetFullPath(path), file.Length, new DateTimeOffset(file.LastWriteTimeUtc));
    }
}
