using System.Diagnostics;
using Sluice.Testing;

namespace Sluice.ConformanceTests.Harness;

/// <summary>Where the SDKs of other languages are: where the environment says, otherwise installed once into <c>artifacts/</c>.</summary>
public static class ClientSdks
{
    public const string NoPython =
        "Needs Python with the openai, anthropic and httpx packages: set SLUICE_PYTHON, or have Python 3 with venv, and the wheels in SLUICE_SHARED or an index that pip reaches.";

    public const string NoNode =
        "Needs Node 22 with its packages: set SLUICE_NODE and SLUICE_NODE_MODULES, or have npm and a network.";

    private static readonly string[] s_nodePackages =
    [
        "openai@7.57.0", "ai@6.0.326", "@ai-sdk/openai-compatible@2.0.91", "@ai-sdk/openai@3.0.141", "@langchain/core@1.4.0",
        "@langchain/openai@1.6.0", "zod@4.6.7", "ajv@8.20.0", "ajv-formats@3.0.1", "@openai/codex@0.171.0",
        "@anthropic-ai/sdk@1.14.0", "@ai-sdk/anthropic@3.0.140", "@openai/agents@0.20.0", "ollama@0.6.4", "@langchain/ollama@1.3.0",
        "playwright-core@1.65.1", "axe-core@4.14.1", "node@22",
    ];
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);
    private static readonly Lazy<Task<string?>> s_python = new(FindOrInstallPythonAsync);
    private static readonly Lazy<Task<(string Node, string Modules)?>> s_node = new(FindOrInstallNodeAsync);

    /// <summary>A Python that can <c>import openai, anthropic, httpx</c>, or null.</summary>
    public static Task<string?> FindPythonAsync() => s_python.Value;

    /// <summary>Node and a <c>node_modules</c> folder with <c>openai</c>, <c>ai</c>, the other packages named above, such as <c>@langchain/openai</c>, <c>ajv</c> and <c>ajv-formats</c>, or null.</summary>
    public static Task<(string Node, string Modules)?> FindNodeAsync() => s_node.Value;

    private static string Artifacts(params string[] parts) => Path.Combine([TestFiles.RepositoryRoot, "artifacts", .. parts]);

    private static async Task<string?> FindOrInstallPythonAsync()
    {
        if (Environment.GetEnvironmentVariable("SLUICE_PYTHON") is { Length: > 0 } given) return given;
        var folder = Artifacts("clients-python");
        var python = Path.Combine(folder, "bin", "python");
        if (await SucceedsAsync(python, folder: null, "-c", "import openai, anthropic, httpx")) return python;
        if (!await SucceedsAsync("python3", null, "-m", "venv", folder)) return null;
        // By name where there are no wheels.
        string[] source = TestFiles.FindShared("wheels") is { } wheels ? ["--no-index", "--find-links", wheels] : [];
        return await SucceedsAsync(python, null, ["-m", "pip", "install", "--quiet", .. source, "openai", "anthropic", "httpx", "pyyaml"]) ? python : null;
    }

    private static async Task<(string Node, string Modules)?> FindOrInstallNodeAsync()
    {
        if (Environment.GetEnvironmentVariable("SLUICE_NODE") is { Length: > 0 } given
            && Environment.GetEnvironmentVariable("SLUICE_NODE_MODULES") is { Length: > 0 } modules)
        {
            return (given, modules);
        }

        var folder = Artifacts("clients-node");
        var found = (Node: Path.Combine(folder, "node_modules", "node", "bin", "node"), Modules: Path.Combine(folder, "node_modules"));
        if (File.Exists(found.Node) && Directory.Exists(Path.Combine(found.Modules, "axe-core")) && Directory.Exists(Path.Combine(found.Modules, "@langchain", "ollama"))) return found;
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "package.json"), "{\"private\":true}");
        return await SucceedsAsync("npm", folder, ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", .. s_nodePackages]) ? found : null;
    }

    private static async Task<bool> SucceedsAsync(string program, string? folder, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = folder ?? "",
            })!;
            _ = process.StandardOutput.ReadToEndAsync();
            _ = process.StandardError.ReadToEndAsync();
            using var patience = new CancellationTokenSource(s_patience);
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                return false;
            }

            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // There is no such program.
            return false;
        }
    }
}
