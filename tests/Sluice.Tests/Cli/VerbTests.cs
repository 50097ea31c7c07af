using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`show`, `rm` and `ps`.</summary>
public sealed class VerbTests : IDisposable
{
    private static readonly string Models = RepositoryFiles.FullPath("models");
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-verbs-").FullName;
    private readonly TestTerminal _terminal = new();

    private string ModelPath => Path.Combine(_folder, "tiny.gguf");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Show_says_what_the_file_says()
    {
        Assert.Equal(0, await _terminal.RunAsync("show", "smollm2-135m-instruct", "--models", Models));
        foreach (var line in (string[])["architecture   llama", "parameters     134,515,008", "weights        Q4_1", "context        8,192", "license        apache-2.0", "chat template  its own", "defaults       temperature 0.2, top_p 0.9", "can be served  yes"])
            Assert.Contains(line + "\n", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Show_says_where_a_model_of_upstreams_runs()
    {
        var file = Path.Combine(_folder, "sluice.yaml");
        await File.WriteAllTextAsync(file, "models:\n  - {id: m, upstreams: [{url: \"http://127.0.0.1:1/v1\", api_key: sk-secret}]}\n");
        Assert.Equal(0, await _terminal.RunAsync("show", "m", "--config", file, "--json"));
        using var json = JsonDocument.Parse(_terminal.Output);
        Assert.Equal("http://127.0.0.1:1/v1", json.RootElement.GetProperty("upstream")[0].GetString());
        Assert.DoesNotContain("sk-secret", _terminal.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("y", true, 0)]
    [InlineData("Yes", true, 0)]
    [InlineData("n", false, 1)]
    [InlineData("", false, 1)]
    public async Task Rm_deletes_what_a_person_agrees_to(string answer, bool isDeleted, int code)
    {
        await WriteModelAsync();
        var terminal = new TestTerminal { IsInteractive = true, Input = new StringReader(answer) };
        Assert.Equal(code, await terminal.RunAsync("rm", "tiny", "--models", _folder));
        Assert.StartsWith($"Delete {ModelPath} (", terminal.Output, StringComparison.Ordinal);
        Assert.Equal(!isDeleted, File.Exists(ModelPath));
    }

    [Fact]
    public async Task Rm_without_a_person_needs_to_be_told()
    {
        await WriteModelAsync();
        Assert.Equal(2, await _terminal.RunAsync("rm", "tiny", "--models", _folder));
        Assert.Equal("sluice: There is nobody to ask; use --yes to delete without a question.\n", _terminal.Error);
        Assert.True(File.Exists(ModelPath));
        Assert.Equal(0, await _terminal.RunAsync("rm", "tiny", "--models", _folder, "--yes"));
        Assert.False(File.Exists(ModelPath));
    }

    [Fact]
    public async Task Rm_of_a_link_leaves_the_file_behind_it()
    {
        if (OperatingSystem.IsWindows()) return;
        var other = Directory.CreateTempSubdirectory("sluice-verbs-").FullName;
        await WriteModelAsync();
        var link = Path.Combine(other, "linked.gguf");
        File.CreateSymbolicLink(link, ModelPath);
        Assert.Equal(0, await _terminal.RunAsync("rm", "linked", "--models", other, "--yes"));
        Assert.Equal((false, true), (File.Exists(link), File.Exists(ModelPath)));
        Directory.Delete(other, recursive: true);
    }

    [Fact]
    public async Task Ps_asks_the_hub()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using (var response = await hub.PostAsync(UpstreamHub.Ask())) await UpstreamHub.EventsAsync(response);
        Assert.Equal(0, await _terminal.RunAsync("ps", "--url", hub.Address));
        Assert.Matches(@"^MODEL +STATE +RUNNING\nm +upstream +[01]\n$", _terminal.Output);
    }

    [Fact]
    public async Task Ps_knows_what_is_loaded()
    {
        await using var hub = await TestHub.StartDefaultModelAsync();
        Assert.Equal(0, await _terminal.RunAsync("ps", "--json", "--url", hub.Address.ToString()));
        using var json = JsonDocument.Parse(_terminal.Output);
        var model = Assert.Single(json.RootElement.EnumerateArray());
        Assert.Equal("smollm2-135m-instruct", model.GetProperty("model").GetString());
        Assert.Contains(model.GetProperty("state").GetString(), (string[])["loaded", "not loaded"]);
    }

    [Fact]
    public async Task Ps_without_a_hub_is_one_sentence()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var url = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}");
        free.Stop();
        Assert.Equal(2, await _terminal.RunAsync("ps", "--url", url));
        Assert.Equal($"sluice: No hub answers at {url}; start one with 'sluice serve', or name it with --url.\n", _terminal.Error);
    }

    [Fact]
    public async Task Ps_with_a_wrong_key_says_what_is_missing()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ApiKeys = ["sk-right"] });
        Assert.Equal(2, await _terminal.RunAsync("ps", "--url", hub.Address.ToString()));
        Assert.Contains("needs an API key", _terminal.Error, StringComparison.Ordinal);
        _terminal.Variables["SLUICE_API_KEYS"] = "sk-right";
        Assert.Equal(0, await _terminal.RunAsync("ps", "--url", hub.Address.ToString()));
    }

    private Task WriteModelAsync() => File.WriteAllBytesAsync(ModelPath, new TinyModel("tiny").ToArray());
}
