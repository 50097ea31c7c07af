using System.Text.Json;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams;
using Sluice.Server.Upstreams.Dialects;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice models` and `sluice check`, which read headers only.</summary>
public sealed class ModelsAndCheckTests : IDisposable
{
    private const string ModelFile = "SmolLM2-135M-Instruct.Q4_1.gguf";
    private static readonly string Models = RepositoryFiles.FullPath("models");
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-cli-").FullName;
    private readonly TestTerminal _terminal = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Models_are_listed_with_what_their_headers_say()
    {
        Assert.Equal(0, await _terminal.RunAsync("models", "--models", Models));
        Assert.Matches($@"^smollm2-135m-instruct +ok +{ModelFile} +98\.4 MB +llama +8192 +\S*/models *$", Line("smollm2-135m-instruct"));
    }

    [Fact]
    public async Task A_configuration_names_the_models_that_are_listed()
    {
        var file = Write($"models:\n  - id: small\n    gguf: {ModelFile}\n    aliases: [gpt-4.1]\n");
        Assert.Equal(0, await _terminal.RunAsync("models", "--models", Models, "--config", file));
        Assert.StartsWith("small, gpt-4.1 ", Line("small"), StringComparison.Ordinal);
        Assert.Equal(2, _terminal.Output.TrimEnd().Split('\n').Length);
    }

    [Fact]
    public async Task A_broken_model_is_listed_and_named()
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder, "broken.gguf"), "GGUF"u8.ToArray());
        Assert.Equal(1, await _terminal.RunAsync("models", "--models", _folder));
        Assert.Contains("unreadable", Line("broken"), StringComparison.Ordinal);
        Assert.StartsWith("sluice: ", _terminal.Error, StringComparison.Ordinal);
        Assert.Contains("broken.gguf", _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_that_can_not_be_served_is_not_called_ok()
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder, "other.gguf"), new TinyModel("other") { Architecture = "rwkv7" }.ToArray());
        Assert.Equal(1, await _terminal.RunAsync("models", "--models", _folder));
        Assert.Matches("^other +unsupported +other.gguf .* rwkv7 ", Line("other"));
        Assert.StartsWith($"sluice: {_folder}/other.gguf: key 'general.architecture': ", _terminal.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("list")]
    [InlineData("ls")]
    public async Task The_list_is_JSON_for_programs(string verb)
    {
        var file = Write($"models:\n  - id: small\n    gguf: {ModelFile}\n    aliases: [gpt-4.1]\n");
        Assert.Equal(0, await _terminal.RunAsync(verb, "--json", "--models", Models, "--config", file));
        using var json = JsonDocument.Parse(_terminal.Output);
        var model = Assert.Single(json.RootElement.EnumerateArray());
        Assert.Equal(("small", "gpt-4.1", "ok", 98_362_432, 8192), (
            model.GetProperty("id").GetString(), model.GetProperty("aliases")[0].GetString(), model.GetProperty("health").GetString(),
            model.GetProperty("size_bytes").GetInt32(), model.GetProperty("context_length").GetInt32()));
    }

    [Fact]
    public async Task The_list_fits_forty_columns()
    {
        var terminal = new TestTerminal { Width = 40 };
        Assert.Equal(0, await terminal.RunAsync("models", "--models", Models));
        Assert.All(terminal.Output.Split('\n'), line => Assert.InRange(line.Length, 0, 40));
        Assert.StartsWith("smollm2-135m-instruct\n  health        ok\n  file          SmolLM2-135M-Instruct.Q4\n", terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_example_is_valid()
    {
        var example = RepositoryFiles.FullPath("examples/seed.yaml");
        Assert.Equal(0, await _terminal.RunAsync("check", example, "--models", Models));
        Assert.Equal($"{example} is valid: 1 model, listening on http://127.0.0.1:7070.\n", _terminal.Output);
    }

    [Fact]
    public async Task Models_of_upstreams_are_checked_without_being_asked()
    {
        _terminal.Variables["OPENAI_API_KEY"] = "sk-secret";
        var example = RepositoryFiles.FullPath("examples/vllm-pair.yaml");
        Assert.Equal(0, await _terminal.RunAsync("check", example));
        Assert.Contains("is valid: 2 models", _terminal.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-secret", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Upstreams_are_asked_how_they_are()
    {
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(200, """{"object":"list","data":[]}"""));
        await using var unlisted = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(404, "{}"));
        await using var locked = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(401, """{"error":{"message":"sk-secret is wrong"}}"""));
        await using var failing = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(503, "{}"));
        var file = Write($$"""
            models:
              - {id: sound, upstreams: [{url: "{{sound.Url}}", api_key: sk-secret, headers: {X-Team: red} }, {url: "{{unlisted.Url}}"}]}
              - {id: locked, upstreams: [{url: "{{locked.Url}}", api_key: sk-secret}]}
              - {id: mixed, upstreams: [{url: "{{failing.Url}}"}, {url: "http://127.0.0.1:1/v1"}, {url: "{{sound.Url}}"}]}
            """);
        // One model has nobody who answers for it.
        Assert.Equal(1, await _terminal.RunAsync("models", "--config", file));

        Assert.StartsWith("sluice: No upstream of locked is healthy; ", Assert.Single(_terminal.Error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.Matches($"^sound +ok +{sound.Url}, {unlisted.Url} *$", Line("sound"));
        Assert.Matches($"^locked +unauthorized +{locked.Url} *$", Line("locked"));
        Assert.Matches("^mixed +failing, unreachable, ok +", Line("mixed"));
        Assert.DoesNotContain("sk-secret", _terminal.Output + _terminal.Error, StringComparison.Ordinal);
        var call = sound.Calls.Single(call => call.Headers.ContainsKey("X-Team"));
        Assert.Equal("Bearer sk-secret", call.Headers["Authorization"]);
    }

    [Fact]
    public async Task A_model_is_fine_while_one_of_its_upstreams_answers()
    {
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(200, """{"object":"list","data":[]}"""));
        var file = Write($$"""
            models:
              - {id: m, upstreams: [{url: "http://127.0.0.1:1/v1"}, {url: "{{sound.Url}}"}]}
            """);
        Assert.Equal(0, await _terminal.RunAsync("models", "--config", file));
        Assert.Empty(_terminal.Error);
    }

    [Fact]
    public async Task An_address_without_a_port_is_an_error_that_names_its_key_and_what_would_be_right()
    {
        var file = Write("listen: foo\n");
        Assert.Equal(2, await _terminal.RunAsync("check", file));
        Assert.Equal($"{file}:1:9: listen: 'foo' is not a valid address; expected http://HOST:PORT, such as http://127.0.0.1:7070\n", _terminal.Error);
    }

    [Theory]
    [InlineData(UpstreamKind.OpenAI, "http://gpu/v1", null, "http://gpu/v1/models")]
    [InlineData(UpstreamKind.Anthropic, "https://api.anthropic.com/v1", null, "https://api.anthropic.com/v1/models")]
    [InlineData(UpstreamKind.Azure, "https://name.openai.azure.com", "2024-10-21", "https://name.openai.azure.com/openai/models?api-version=2024-10-21")]
    [InlineData(UpstreamKind.Azure, "https://name.openai.azure.com/openai/v1", null, "https://name.openai.azure.com/openai/v1/models")]
    public void Each_kind_has_its_list_of_models(UpstreamKind kind, string url, string? version, string list) =>
        Assert.Equal(list, UpstreamDialect.Create(new UpstreamOptions(url) { Kind = kind, ApiVersion = version }, "m").ModelsEndpoint.AbsoluteUri);

    [Fact]
    public async Task A_silent_upstream_is_not_waited_for()
    {
        var time = new ManualTimeProvider();
        await using var silent = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        var asking = UpstreamProbe.AskAsync(new UpstreamOptions(silent.Url), new Limits(), time, TestContext.Current.CancellationToken);
        await silent.NextCallAsync(TestContext.Current.CancellationToken);
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(UpstreamHealth.Silent, await asking);
    }

    [Fact]
    public async Task Every_error_is_one_line_with_its_place()
    {
        var file = Write("listen: x:y\nmodel: 3\n");
        Assert.Equal(2, await _terminal.RunAsync("check", file));
        var lines = _terminal.Error.TrimEnd().Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.StartsWith($"{file}:1:9: ", lines[0], StringComparison.Ordinal);
        Assert.StartsWith($"{file}:2:1: ", lines[1], StringComparison.Ordinal);
        Assert.Empty(_terminal.Output);
    }

    [Fact]
    public async Task A_missing_model_is_an_error_of_the_line_that_names_it()
    {
        var file = Write("models:\n  - id: a\n    gguf: nope.gguf\n");
        Assert.Equal(2, await _terminal.RunAsync("check", file));
        Assert.StartsWith($"{file}:3:11: there is no file 'nope.gguf'", _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_broken_model_is_an_error_of_the_line_that_names_it()
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder, "broken.gguf"), "GGUF"u8.ToArray());
        var file = Write("models:\n  - id: a\n    gguf: ./broken.gguf\n");
        Assert.Equal(2, await _terminal.RunAsync("check", file));
        Assert.StartsWith($"{file}:3:11: ", _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_that_the_engine_does_not_know_is_an_error_of_the_line_that_names_it()
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder, "other.gguf"), new TinyModel("other") { Architecture = "rwkv7" }.ToArray());
        var file = Write("models:\n  - id: a\n    gguf: ./other.gguf\n");
        Assert.Equal(2, await _terminal.RunAsync("check", file));
        Assert.StartsWith($"{file}:3:11: {_folder}/other.gguf: key 'general.architecture': ", _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_of_a_folder_that_the_engine_does_not_know_is_named_and_left_out()
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder, "good.gguf"), new TinyModel("good").ToArray());
        await File.WriteAllBytesAsync(Path.Combine(_folder, "other.gguf"), new TinyModel("other") { Architecture = "rwkv7" }.ToArray());
        var file = Write("listen: http://127.0.0.1:0\n");
        Assert.Equal(0, await _terminal.RunAsync("check", file, "--models", _folder));
        Assert.StartsWith($"sluice: not served: {_folder}/other.gguf: key 'general.architecture': ", _terminal.Error, StringComparison.Ordinal);
        Assert.Equal(1, _terminal.Error.AsSpan().Count('\n'));
    }

    [Theory]
    [InlineData("check", "/nowhere/sluice.yaml")]
    [InlineData("models", "--config", "/nowhere/sluice.yaml")]
    [InlineData("models", "--models", "/nowhere")]
    public async Task What_is_not_there_is_one_sentence(params string[] arguments)
    {
        Assert.Equal(2, await _terminal.RunAsync(arguments));
        Assert.Matches(@"^sluice: There is no (configuration file|folder) /nowhere\S*\.\n$", _terminal.Error);
    }

    private string Write(string yaml)
    {
        var file = Path.Combine(_folder, "sluice.yaml");
        File.WriteAllText(file, yaml);
        return file;
    }

    private string Line(string start) => _terminal.Output.Split('\n').First(line => line.StartsWith(start, StringComparison.Ordinal));
}
