namespace Sluice.Server.Configuration;

/// <summary>What the user wrote, validated. Immutable; the defaults are those of a hub without a configuration.</summary>
public sealed record SluiceOptions
{
    /// <summary>Addresses to listen on, at least one. The default value is <c>http://127.0.0.1:7070</c>.</summary>
    public IReadOnlyList<ListenAddress> Listen { get; init; } = [ListenAddress.Default];

    /// <summary>The models to serve, ids and aliases unique. The default value, null, serves every GGUF file of the model folders.</summary>
    public IReadOnlyList<ModelOptions>? Models { get; init; }

    /// <summary>Keys of which a request must bear one. The default value is none: everyone may ask.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>
    /// Host names, without port, under which the hub may be addressed beside loopback and its listen addresses; <c>*</c> is any.
    /// The default value is none.
    /// </summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>Browser origins beside loopback that may read answers, such as <c>https://chat.example.com</c>; <c>*</c> is any. The default value is none.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Bytes that loaded models may take together. The default value, null, is 80 % of the memory that the process may use.</summary>
    public long? MemoryBudgetBytes { get; init; }
}

/// <summary>One model that the hub serves.</summary>
/// <param name="Id">Name to ask with.</param>
/// <param name="Gguf">Path of the file: absolute, or relative to the configuration's folder, or a bare file name in a model folder.</param>
public sealed record ModelOptions(string Id, string Gguf)
{
    /// <summary>Other names for the same model. The default value is none.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Where the configuration names the file; null without a configuration file.</summary>
    public SourcePosition? GgufPosition { get; init; }
}

/// <summary>A place in a configuration file; line and column count from 1.</summary>
public sealed record SourcePosition(string File, int Line, int Column)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{File}:{Line}:{Column}");
}
