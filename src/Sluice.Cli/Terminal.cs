using System.Runtime.InteropServices;
using Spectre.Console;

namespace Sluice.Cli;

/// <summary>What a command sees of the process that it runs in. Tests put their own in its place.</summary>
internal sealed record Terminal
{
    public required TextReader Input { get; init; }

    public required TextWriter Output { get; init; }

    public required TextWriter Error { get; init; }

    /// <summary>False when the input is a pipe or a file.</summary>
    public bool IsInputInteractive { get; init; }

    /// <summary>False when the output is a pipe or a file: nothing is drawn twice on one line then.</summary>
    public bool IsOutputInteractive { get; init; }

    /// <summary>Columns of the output; null when it is a pipe or a file, or nobody knows.</summary>
    public int? Width { get; init; }

    /// <summary>False when the error stream is a pipe or a file.</summary>
    public bool IsErrorInteractive { get; init; }

    /// <summary>Waits for a key, without showing it; null where there are no keys, and input comes by the line.</summary>
    public Func<ConsoleKeyInfo>? ReadKey { get; init; }

    /// <summary>Whether another key is there already: it was pasted.</summary>
    public Func<bool> IsKeyAvailable { get; init; } = static () => false;

    /// <summary>Columns and rows of the output at this moment.</summary>
    public Func<(int Columns, int Rows)> Size { get; init; } = static () => (80, 24);

    /// <summary>Whether the output knows how to move its cursor.</summary>
    public bool HasCursor => IsOutputInteractive && GetVariable("TERM") != "dumb";

    /// <summary>Whether the output can have color.</summary>
    public bool HasColor => HasCursor && GetVariable("NO_COLOR") is null;

    /// <summary>Whether the error stream can have color: a terminal that knows it, and nobody who asked for none with NO_COLOR.</summary>
    public bool HasErrorColor => IsErrorInteractive && GetVariable("NO_COLOR") is null && GetVariable("TERM") != "dumb";

    /// <summary>Value of an environment variable; null when it is unset or empty.</summary>
    public required Func<string, string?> GetVariable { get; init; }

    /// <summary>Calls the action at every Ctrl-C, instead of ending the process, until the result is disposed.</summary>
    public required Func<Action, IDisposable> OnInterrupt { get; init; }

    /// <summary>Calls the action at every SIGTERM, instead of ending the process, until the result is disposed.</summary>
    public required Func<Action, IDisposable> OnTerminate { get; init; }

    /// <summary>Calls the action at every SIGHUP, instead of ending the process, until the result is disposed; null where there is no such signal.</summary>
    public required Func<Action, IDisposable?> OnHangUp { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public static Terminal OfProcess() => new()
    {
        Input = Console.In,
        Output = Console.Out,
        Error = Console.Error,
        IsInputInteractive = !Console.IsInputRedirected,
        IsOutputInteractive = !Console.IsOutputRedirected,
        Width = WidthOfConsole(),
        IsErrorInteractive = !Console.IsErrorRedirected,
        ReadKey = HasKeys() ? static () => Console.ReadKey(intercept: true) : null,
        IsKeyAvailable = static () => Console.KeyAvailable,
        Size = static () => (Math.Max(1, Console.WindowWidth), Math.Max(1, Console.WindowHeight)),
        GetVariable = name => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null,
        OnInterrupt = action => PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
        {
            context.Cancel = true;
            action();
        }),
        OnTerminate = action => PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            action();
        }),
        // On Windows it says that the window closes.
        OnHangUp = action => OperatingSystem.IsWindows() ? null : PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            action();
        }),
    };

    private static bool HasKeys() =>
        !Console.IsInputRedirected && !Console.IsOutputRedirected
        && (OperatingSystem.IsWindows() || Environment.GetEnvironmentVariable("TERM") is not ("dumb" or "" or null));

    private static int? WidthOfConsole()
    {
        try
        {
            return Console.IsOutputRedirected || Console.WindowWidth <= 0 ? null : Console.WindowWidth;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>For tables and progress bars on <see cref="Output"/>.</summary>
    public IAnsiConsole CreateConsole()
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(Output),
            Ansi = IsOutputInteractive ? AnsiSupport.Detect : AnsiSupport.No,
            Interactive = IsOutputInteractive ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!IsOutputInteractive)
        {
            // A pipe has no width, and a line that another program reads must not be broken.
            console.Profile.Width = 4096;
        }

        return console;
    }
}
