using Sluice.Cli;

namespace Sluice.Tests.Cli;

/// <summary>A terminal that keeps what was written and whose Ctrl-C a test presses.</summary>
internal sealed class TestTerminal
{
    private readonly List<Action> _interrupts = [];
    private readonly ObservedWriter _output;
    private readonly StringWriter _error = new();

    public TestTerminal() => _output = new ObservedWriter(this);

    public Dictionary<string, string> Variables { get; } = [];

    public TextReader Input { get; init; } = TextReader.Null;

    /// <summary>Whether a person types the input.</summary>
    public bool IsInteractive { get; init; }

    /// <summary>Columns of the output; null for a pipe.</summary>
    public int? Width { get; init; }

    /// <summary>Called on the writing thread with all of the output after each piece of it.</summary>
    public Action<string>? Written { get; set; }

    public string Output => _output.ToString();

    public string Error => _error.ToString();

    public Terminal Terminal => new()
    {
        Input = Input,
        Output = _output,
        IsInputInteractive = IsInteractive,
        Width = Width,
        Error = TextWriter.Synchronized(_error),
        GetVariable = name => Variables.GetValueOrDefault(name),
        OnInterrupt = action =>
        {
            lock (_interrupts)
            {
                _interrupts.Add(action);
            }

            return new Registration(this, action);
        },
        OnTerminate = action => new Registration(this, action),
        OnHangUp = action =>
        {
            HangUp = action;
            return null;
        },
    };

    /// <summary>What a SIGHUP calls; null before a command listens.</summary>
    public Action? HangUp { get; private set; }

    public Task<int> RunAsync(params string[] arguments) => CommandLine.RunAsync(arguments, Terminal);

    public void PressCtrlC()
    {
        Action[] actions;
        lock (_interrupts)
        {
            actions = [.. _interrupts];
        }

        foreach (var action in actions)
        {
            action();
        }
    }

    private sealed class Registration(TestTerminal terminal, Action action) : IDisposable
    {
        public void Dispose()
        {
            lock (terminal._interrupts)
            {
                terminal._interrupts.Remove(action);
            }
        }
    }

    private sealed class ObservedWriter(TestTerminal terminal) : StringWriter
    {
        public override void Flush() => terminal.Written?.Invoke(ToString());
    }
}
