using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Sluice.Tests.Cli;

/// <summary>`sluice serve` as a process of its own, which can be killed.</summary>
internal sealed partial class ServeProcess : IAsyncDisposable
{
    private readonly Process _process;

    private ServeProcess(Process process, Uri address)
    {
        _process = process;
        Http = new HttpClient { BaseAddress = address };
    }

    public HttpClient Http { get; }

    /// <summary>Starts it, and waits until it serves.</summary>
    /// <param name="configuration">Path of its file.</param>
    /// <param name="models">Where its models are.</param>
    /// <param name="address">Where it serves; null is a free port.</param>
    /// <param name="variables">Added to the environment.</param>
    /// <param name="files">How many files it may open; null for as many as this process.</param>
    public static async Task<ServeProcess> StartAsync(
        string configuration, string models, Uri? address = null, IReadOnlyDictionary<string, string>? variables = null, int? files = null)
    {
        string[] command = [Path.Combine(AppContext.BaseDirectory, "sluice"), "serve", "--config", configuration, "--models", models, "--urls", address?.ToString() ?? "http://127.0.0.1:0"];
        if (files is not null) command = ["/bin/sh", "-c", $"ulimit -n {files}; exec \"$@\"", "sh", .. command];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in variables ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        if (await process.StandardOutput.ReadLineAsync() is not { } line) throw new InvalidOperationException(await errors);
        return new ServeProcess(process, new Uri(Announcement().Match(line).Groups["url"].Value));
    }

    /// <summary>SIGKILL: nothing is told and nothing is tidied up.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, once or more often.</summary>
    public void Terminate()
    {
        using var kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Any signal, by its name.</summary>
    public void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Its exit code, when it has ended.</summary>
    public async Task<int> WhenEndedAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!_process.HasExited) await KillAsync();
        _process.Dispose();
    }

    [GeneratedRegex("^Sluice serves at (?<url>\\S+)$")]
    private static partial Regex Announcement();
}
