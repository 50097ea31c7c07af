namespace Sluice.Server.Configuration;

/// <summary>One thing that is wrong with a configuration.</summary>
/// <param name="Position">Where it stands.</param>
/// <param name="Message">One sentence without the position: what is wrong, and what would be right.</param>
public sealed record ConfigurationError(SourcePosition Position, string Message)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Position}: {Message}";
}

/// <summary>A configuration that can't be used. The message has one line per error, each with file, line and column.</summary>
public sealed class ConfigurationException : Exception
{
    /// <param name="errors">At least one, in the order of the file.</param>
    public ConfigurationException(IReadOnlyList<ConfigurationError> errors)
        : base(string.Join(Environment.NewLine, errors)) => Errors = errors;

    /// <summary>At least one.</summary>
    public IReadOnlyList<ConfigurationError> Errors { get; }
}
