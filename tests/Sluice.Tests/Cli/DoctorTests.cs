using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice doctor`: what is wrong, and the remedy.</summary>
public sealed class DoctorTests : IDisposable
{
    private static readonly string Models = RepositoryFiles.FullPath("models");
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-doctor-").FullName;
    private readonly TestTerminal _terminal = new();

    private const string Model = "models:\n  - {id: small, gguf: SmolLM2-135M-Instruct.Q4_1.gguf}\n";

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task What_is_fine_is_said_to_be_fine()
    {
        var store = Path.Combine(_folder, "new", "answers.db");
        await RunAsync($"listen: http://127.0.0.1:0\nstore: sqlite\nstore_path: {store}\nstore_size: 1MiB\n{Model}");
        Assert.Contains("ok     models: small can be served, 98.4 MB\n", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("ok     port: http://127.0.0.1:0 is free\n", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains($"ok     store: {store} can be written\n", _terminal.Output, StringComparison.Ordinal);
        foreach (var area in (string[])["memory", "processor", "configuration"]) Assert.Matches($"(?m)^(ok   |wrong)  {area}: ", _terminal.Output);
        // Nothing is left behind.
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder));
    }

    [Fact]
    public async Task A_wrong_configuration_is_wrong_with_its_place()
    {
        Assert.Equal(1, await RunAsync("listen: x:y\nmodle: 1\n"));
        Assert.Contains($"wrong  configuration: {_folder}/sluice.yaml:1:9: ", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains($"wrong  configuration: {_folder}/sluice.yaml:2:1: ", _terminal.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("models:\n  - {id: a, gguf: nope.gguf}\n", "models: ", "there is no file 'nope.gguf'")]
    [InlineData("memory_budget: 1MB\n" + Model, "models: ", "small needs 98.4 MB, and the memory budget is 1.0 MB; use a smaller model")]
    [InlineData("listen: http://0.0.0.0:0\n" + Model, "access: ", "no API key is set: set api_keys")]
    [InlineData("models:\n  - {id: m, upstreams: [{url: \"http://127.0.0.1:1/v1\"}]}\n", "upstream: ", "http://127.0.0.1:1/v1 of m can't be reached; check 'url'")]
    [InlineData("store: sqlite\nstore_path: /dev/null/x/answers.db\n" + Model, "store: ", "/dev/null/x/answers.db")]
    [InlineData("store: sqlite\nstore_size: 100000TB\nstore_path: ./a.db\n" + Model, "store: ", "free some, or lower 'store_size'")]
    public async Task What_is_wrong_has_a_remedy(string yaml, string area, string sentence)
    {
        Assert.Equal(1, await RunAsync(yaml.StartsWith("listen", StringComparison.Ordinal) ? yaml : "listen: http://127.0.0.1:0\n" + yaml));
        var line = _terminal.Output.Split('\n').First(line => line.StartsWith("wrong  " + area, StringComparison.Ordinal));
        Assert.Contains(sentence, line, StringComparison.Ordinal);
        Assert.EndsWith(" to put right.\n", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_is_wrong_unless_a_hub_has_it()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        await RunAsync($"listen: http://127.0.0.1:{((IPEndPoint)other.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture)}\n{Model}", "--json");
        using (var json = JsonDocument.Parse(_terminal.Output))
        {
            var port = json.RootElement.EnumerateArray().Single(finding => finding.GetProperty("area").GetString() == "port");
            Assert.False(port.GetProperty("ok").GetBoolean());
            Assert.EndsWith(" is taken by another program; choose another with 'listen' or --port", port.GetProperty("finding").GetString(), StringComparison.Ordinal);
        }

        await using var hub = await TestHub.StartScriptedAsync();
        var terminal = new TestTerminal();
        await File.WriteAllTextAsync(Path.Combine(_folder, "sluice.yaml"), $"listen: {hub.Address}\n{Model}");
        await terminal.RunAsync("doctor", "--models", Models, "--config", Path.Combine(_folder, "sluice.yaml"));
        Assert.Contains($"ok     port: a hub answers at {hub.Address.ToString().TrimEnd('/')} already\n", terminal.Output, StringComparison.Ordinal);
    }

    private async Task<int> RunAsync(string yaml, params string[] options)
    {
        var file = Path.Combine(_folder, "sluice.yaml");
        await File.WriteAllTextAsync(file, yaml);
        return await _terminal.RunAsync(["doctor", "--models", Models, "--config", file, .. options]);
    }
}
