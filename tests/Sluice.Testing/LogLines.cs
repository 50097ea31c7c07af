using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Sluice.Testing;

/// <summary>Keeps what is logged from a level on, one line each: <c>Level: message</c>. Thread-safe.</summary>
public sealed class LogLines(LogLevel level = LogLevel.Information) : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<string> _lines = [];
    private readonly ConcurrentQueue<string> _scopes = [];

    /// <summary>In the order of logging.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    /// <summary>What every scope called itself when it was begun.</summary>
    public IReadOnlyCollection<string> Scopes => _scopes;

    /// <summary>Everything, for a look at what is not in it.</summary>
    public override string ToString() => string.Join('\n', _lines);

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => this;

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        _scopes.Enqueue(state.ToString() ?? "");
        return null;
    }

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= level;

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        ArgumentNullException.ThrowIfNull(formatter);
        if (IsEnabled(logLevel)) _lines.Enqueue($"{logLevel}: {formatter(state, exception)} {exception?.Message}".TrimEnd());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
