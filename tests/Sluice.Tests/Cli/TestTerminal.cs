using Sluice.Cli;

namespace Sluice.Tests.Cli;

/// <summary>A terminal that keeps what was written and whose Ctrl-C a test presses.</summary>
internal sealed class TestTerminal
{
    private readonly List<Action> _interrupts = [];
    private readonly StringWriter _output = new();
    private readonly StringWriter _error = new();

    public Dictionary<string, string> Variables { get; } = [];

    public TextReader Input { get; init; } = TextReader.Null;

    public string Output => _output.ToString();

    public string Error => _error.ToString();

    public Terminal Terminal => new()
    {
        Input = Input,
        Output = TextWriter.Synchronized(_output),
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
    };

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
}
