using System.Diagnostics;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests.Harness;

/// <summary>A client of another language, run as a program of its own.</summary>
public static class ClientProcess
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);

    /// <summary>A file beside these tests.</summary>
    public static string Path(params string[] parts) =>
        System.IO.Path.Combine([TestFiles.RepositoryRoot, "tests", "Sluice.ConformanceTests", "Clients", .. parts]);

    /// <summary>Runs a script of <c>Clients/python</c>, which must end well; skips the test where the SDK is not there.</summary>
    public static async Task<string> PythonAsync(TestHub hub, string script, params string[] arguments) =>
        await RunAsync(hub, await PythonAsync(), [Path("python", script), .. arguments]);

    /// <summary>Runs Python code, after an example of the guide where one is named.</summary>
    public static async Task<string> PythonCodeAsync(TestHub hub, string? example, string code) =>
        await RunAsync(hub, await PythonAsync(), ["-c", (example is null ? "" : await File.ReadAllTextAsync(Path("seed", example)) + "\n") + code]);

    /// <summary>Starts a script of <c>Clients/python</c>.</summary>
    public static async Task<Process> StartPythonAsync(TestHub hub, string script, params string[] arguments) =>
        Start(hub, await PythonAsync(), [Path("python", script), .. arguments]);

    /// <summary>Runs a script of <c>Clients/node</c>, which must end well; skips the test where the SDK is not there.</summary>
    public static async Task<string> NodeAsync(TestHub hub, string script, params string[] arguments)
    {
        var (node, modules) = await FindNodeAsync();
        return await RunAsync(hub, node, [Path("node", script), .. arguments], modules);
    }

    /// <summary>Starts a script of <c>Clients/node</c>.</summary>
    public static async Task<Process> StartNodeAsync(TestHub hub, string script, params string[] arguments)
    {
        var (node, modules) = await FindNodeAsync();
        return Start(hub, node, [Path("node", script), .. arguments], modules);
    }

    /// <summary>Posts a chat with curl, and gives what comes.</summary>
    public static Task<string> CurlAsync(TestHub hub, string body) => RunAsync(hub, "curl", CurlArguments(hub, body));

    /// <summary>Starts to post a chat with curl.</summary>
    public static Process StartCurl(TestHub hub, string body) => Start(hub, "curl", CurlArguments(hub, body));

    /// <summary>Starts a program that asks the hub, with its address in the environment as the SDKs read it.</summary>
    public static Process Start(TestHub hub, string program, IEnumerable<string> arguments, string? nodeModules = null)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OPENAI_BASE_URL"] = new Uri(hub.Address, "v1").ToString();
        start.Environment["OPENAI_API_KEY"] = "sk-none";
        start.Environment["SLUICE_MODEL"] = hub.Model;
        start.Environment["PYTHONIOENCODING"] = "utf-8";
        if (nodeModules is not null) start.Environment["SLUICE_NODE_MODULES"] = nodeModules;
        return Process.Start(start)!;
    }

    /// <summary>Runs a program to its end, which must be a good one.</summary>
    public static async Task<string> RunAsync(TestHub hub, string program, IEnumerable<string> arguments, string? nodeModules = null)
    {
        using var process = Start(hub, program, arguments, nodeModules);
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(s_patience);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} did not end.\n{await output}\n{await errors}");
        }

        Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}.\n{await output}\n{await errors}");
        return await output;
    }

    private static string[] CurlArguments(TestHub hub, string body) =>
        ["--silent", "--show-error", "--no-buffer", new Uri(hub.Address, ApiClient.ChatPath).ToString(), "-H", "Content-Type: application/json", "-d", body];

    private static async Task<string> PythonAsync()
    {
        var python = await ClientSdks.FindPythonAsync();
        if (python is null) Assert.Skip(ClientSdks.NoPython);
        return python;
    }

    /// <summary>Node and its packages; skips the test where they are not there.</summary>
    public static async Task<(string Node, string Modules)> FindNodeAsync()
    {
        var sdk = await ClientSdks.FindNodeAsync();
        if (sdk is null) Assert.Skip(ClientSdks.NoNode);
        return sdk.Value;
    }
}
