using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>The program in a real pseudo-terminal, which <c>script</c> of util-linux opens: a test types keys and reads what is drawn.</summary>
internal sealed partial class PseudoTerminal : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly Task _reading;

    private PseudoTerminal(Process process)
    {
        _process = process;
        _reading = ReadAsync();
    }

    /// <summary>Everything that was drawn so far, with its control sequences.</summary>
    public string Output
    {
        get { lock (_output) return _output.ToString(); }
    }

    /// <summary>The same without them.</summary>
    public string Text => Sequence().Replace(Output, "");

    /// <summary>Starts the program; skips the test where there is no <c>script</c>.</summary>
    /// <param name="columns">Of the terminal.</param>
    /// <param name="variables">Such as <c>NO_COLOR=1</c>.</param>
    /// <param name="arguments">Of the program.</param>
    public static PseudoTerminal Start(int columns, string variables, params string[] arguments)
    {
        const string Script = "/usr/bin/script";
        if (!File.Exists(Script)) Assert.Skip("Needs 'script' of util-linux for a pseudo-terminal.");
        var program = Path.Combine(AppContext.BaseDirectory, "sluice");
        var command = $"stty cols {columns} rows 20; exec env TERM=xterm LANG=C.UTF-8 {variables} '{program}' {string.Join(' ', arguments.Select(static argument => $"'{argument}'"))}";
        var start = new ProcessStartInfo(Script, ["-qfec", command, "/dev/null"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            StandardInputEncoding = new UTF8Encoding(false),
            StandardOutputEncoding = new UTF8Encoding(false),
        };
        start.Environment.Remove("NO_COLOR");
        return new PseudoTerminal(Process.Start(start)!);
    }

    /// <summary>Presses keys.</summary>
    public async Task TypeAsync(string keys)
    {
        await _process.StandardInput.WriteAsync(keys);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Waits until what was drawn behind a place matches, and returns where that ends.</summary>
    public async Task<int> SeeAsync(string pattern, int from = 0)
    {
        var end = DateTime.UtcNow + s_patience;
        while (true)
        {
            var text = Text;
            if (from <= text.Length && new Regex(pattern).Match(text, from) is { Success: true } match) return match.Index + match.Length;
            Assert.True(DateTime.UtcNow < end, $"'{pattern}' was not drawn behind {from}:\n{text}");
            await Task.Delay(20);
        }
    }

    /// <summary>The exit code, when the program has ended.</summary>
    public async Task<int> EndAsync()
    {
        using var patience = new CancellationTokenSource(s_patience);
        await _process.WaitForExitAsync(patience.Token);
        await _reading;
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        var buffer = new char[4096];
        while (await _process.StandardOutput.ReadAsync(buffer) is > 0 and var count)
        {
            lock (_output) _output.Append(buffer, 0, count);
        }
    }

    [GeneratedRegex(@"\u001B(\[[0-9;?]*[A-Za-z]|[=>]|\([A-Z])|\r")]
    private static partial Regex Sequence();
}
