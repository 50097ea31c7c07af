using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Cli.Commands;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice serve`: what it says when it starts, and when it can't.</summary>
public sealed partial class ServeTests : IDisposable
{
    private const string ModelFile = "SmolLM2-135M-Instruct.Q4_1.gguf";
    private static readonly string Models = RepositoryFiles.FullPath("models");
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-serve-").FullName;
    private readonly TestTerminal _terminal = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("examples/seed.yaml")]
    [InlineData("examples/engine-names.yaml")]
    public async Task The_lines_at_the_start_say_where_it_serves_what_and_Ctrl_C_ends_the_hub(string file)
    {
        var example = RepositoryFiles.FullPath(file);
        var serve = ServeAsync("--config", example, "--urls", "http://127.0.0.1:0");
        var lines = (await AnnouncementAsync(serve)).TrimEnd().Split('\n');
        var url = UrlIn(lines[0]);
        Assert.Equal("Models: smollm2-135m-instruct", lines[1]);
        Assert.Equal($"Console: {url}/", lines[2]);
        Assert.Equal($"For OpenAI clients: OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=unused; see docs/http-api.md and 'sluice help'", lines[3]);
        Assert.StartsWith("Ctrl-C stops it; running answers have 30 s to end", lines[4], StringComparison.Ordinal);
        Assert.Matches("^smollm2-135m-instruct is a tiny demonstration and often wrong; for a useful model: sluice pull qwen", lines[5]);
        Assert.Equal(6, lines.Length);

        using var http = new HttpClient();
        var body = """{"model":"smollm2-135m-instruct","stream":true,"max_tokens":2,"messages":[{"role":"user","content":"Hello"}]}""";
        using var response = await http.PostAsync(new Uri($"{url}/v1/chat/completions"), new StringContent(body, Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("\"Llama-3.3-70B-Instruct\"", await ModelsAsync(http, url), StringComparison.Ordinal);
        body = body.Replace("smollm2-135m-instruct", "gpt-4.1", StringComparison.Ordinal);
        using var alias = await http.PostAsync(new Uri($"{url}/v1/chat/completions"), new StringContent(body, Encoding.UTF8, "application/json"));
        Assert.Contains("\"model\":\"gpt-4.1\"", await alias.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        _terminal.PressCtrlC();
        Assert.Equal(0, await serve);
        Assert.Equal(6, _terminal.Output.AsSpan().Count('\n'));
    }

    [Fact]
    public async Task A_key_is_part_of_the_example()
    {
        _terminal.Variables["SLUICE_API_KEYS"] = "secret";
        var serve = ServeAsync("--config", Write($"models:\n  - id: small\n    gguf: {ModelFile}\n"), "--urls", "127.0.0.1:0");
        var line = await AnnouncementAsync(serve);
        Assert.Contains(" OPENAI_API_KEY=KEY;", line, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", line, StringComparison.Ordinal);
        _terminal.PressCtrlC();
        Assert.Equal(0, await serve);
    }

    [Fact]
    public async Task SIGHUP_takes_the_file_over_and_a_wrong_one_is_refused()
    {
        var file = Write($"models:\n  - id: small\n    gguf: {ModelFile}\n");
        var serve = ServeAsync("--config", file, "--urls", "127.0.0.1:0");
        var url = UrlIn(await AnnouncementAsync(serve));
        using var http = new HttpClient();

        Write($"models:\n  - id: small\n    gguf: {ModelFile}\n    aliases: [Llama-3.3-70B-Instruct]\n");
        _terminal.HangUp!();
        Assert.Contains("\"Llama-3.3-70B-Instruct\"", await ModelsAsync(http, url), StringComparison.Ordinal);
        Write("models:\n  - id: small\n    gguf: [\n");
        _terminal.HangUp();
        Assert.Contains("\"Llama-3.3-70B-Instruct\"", await ModelsAsync(http, url), StringComparison.Ordinal);

        _terminal.PressCtrlC();
        Assert.Equal(0, await serve);
    }

    [Fact]
    public async Task A_reload_looks_at_the_addresses_that_are_listened_on()
    {
        var models = $"models:\n  - id: small\n    gguf: {ModelFile}\n";
        var file = Write($"listen: http://0.0.0.0:0\napi_keys: [sk-a]\n{models}");
        var serve = ServeAsync("--config", file);
        var url = UrlIn(await AnnouncementAsync(serve));
        using var http = new HttpClient();

        Write($"listen: http://127.0.0.1:0\napi_keys: []\n{models}");
        _terminal.HangUp!();
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync(new Uri(new Uri(url), "/v1/models"))).StatusCode);

        _terminal.PressCtrlC();
        Assert.Equal(0, await serve);
    }

    [Fact]
    public async Task A_file_that_comes_into_a_model_folder_is_served_and_one_that_goes_is_not()
    {
        var serve = ServeAsync("--models", _folder, "--urls", "127.0.0.1:0");
        var url = UrlIn(await AnnouncementAsync(serve));
        using var http = new HttpClient { BaseAddress = new Uri(url) };
        var file = Path.Combine(_folder, "tiny-newcomer.gguf");
        await File.WriteAllBytesAsync(file, new TinyModel("tiny-newcomer").ToArray());
        await UntilAsync(http, HttpStatusCode.OK);
        File.Delete(file);
        await UntilAsync(http, HttpStatusCode.NotFound);
        _terminal.PressCtrlC();
        Assert.Equal(0, await serve);

        static async Task UntilAsync(HttpClient http, HttpStatusCode status)
        {
            while ((await http.GetAsync(new Uri("/v1/models/tiny-newcomer", UriKind.Relative), TestContext.Current.CancellationToken)).StatusCode != status)
                await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task An_empty_configuration_is_one_sentence()
    {
        var file = Write("");
        Assert.Equal(2, await ServeAsync("--config", file));
        Assert.Equal($"{file}:1:1: the file has no content; write {{}} for the defaults, or remove it\n", _terminal.Error);
    }

    [Fact]
    public async Task A_log_format_that_is_none_is_one_sentence()
    {
        Assert.Equal(2, await ServeAsync("--log-format", "xml"));
        Assert.StartsWith("sluice: --log-format must be text or json, not 'xml'", _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_is_one_sentence()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        await AssertRefusedAsync($"{address} is taken by another program; choose another with --port or --urls.", "--urls", address);
    }

    [Fact]
    public Task Other_machines_need_a_key() => AssertRefusedAsync(
        "http://0.0.0.0:0 can be reached from other machines and no API key is set: set api_keys or SLUICE_API_KEYS, listen on 127.0.0.1, or pass --insecure.",
        "--urls", "http://0.0.0.0:0");

    [Theory]
    [InlineData("Use --urls, or --host and --port, not both.", "--urls", "http://127.0.0.1:0", "--port", "1")]
    [InlineData("--port is a number from 0 to 65535, not '99999'.", "--port", "99999")]
    [InlineData("--host is a host name or an address, such as 127.0.0.1, not 'http://x'.", "--host", "http://x")]
    [InlineData("http://0.0.0.0:7070 can be reached from other machines", "--host", "0.0.0.0")]
    public Task A_wrong_host_or_port_is_one_sentence(string sentence, params string[] options) => AssertRefusedAsync(sentence, options);

    [Fact]
    public async Task Host_and_port_say_where_it_serves()
    {
        var file = Write($"listen: http://localhost:1\nmodels:\n  - id: small\n    gguf: {ModelFile}\n");
        var serve = ServeAsync("--config", file, "--host", "127.0.0.1", "--port", "0");
        Assert.StartsWith("http://127.0.0.1:", UrlIn(await AnnouncementAsync(serve)), StringComparison.Ordinal);
        _terminal.PressCtrlC();
        Assert.Equal(0, await serve);
    }

    [Theory]
    [InlineData(false, "12:00:00 warning: two lines\n")]
    [InlineData(true, "12:00:00 \e[33mwarning: \e[0mtwo lines\n")]
    public void A_line_of_the_log_is_one_line_and_has_color_only_where_there_may_be_some(bool hasColor, string expected)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        var entry = new LogEntry<string>(LogLevel.Warning, "c", default, "two\nlines", null, static (state, _) => state);
        new LineFormatter(hasColor, new NoonTime()).Write(entry, null, writer);
        Assert.Equal(expected, writer.ToString());
    }

    [Fact]
    public Task An_address_that_is_none_is_one_sentence() => AssertRefusedAsync(
        "--urls: 'ftp://x' has the unknown scheme 'ftp'; expected http://HOST:PORT, such as http://127.0.0.1:7070.", "--urls", "ftp://x");

    [Fact]
    public async Task A_broken_model_is_one_sentence()
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder, "broken.gguf"), "GGUF"u8.ToArray());
        var file = Write("models:\n  - id: a\n    gguf: ./broken.gguf\n");
        await AssertRefusedAsync($"{_folder}/broken.gguf: ", "--config", file);
    }

    [Fact]
    public async Task A_model_larger_than_the_memory_is_one_sentence()
    {
        var file = Write($"memory_budget: 1MB\nmodels:\n  - id: small\n    gguf: {ModelFile}\n");
        await AssertRefusedAsync("The model `small` needs 98.4 MB, and the memory budget is 1.0 MB.", "--config", file, "--urls", "127.0.0.1:0");
    }

    [Fact]
    public async Task A_store_that_can_not_be_used_is_one_sentence()
    {
        var store = Path.Combine(_folder, "answers.db");
        await File.WriteAllTextAsync(store, new string('x', 5_000));
        var file = Write($"store: sqlite\nstore_path: answers.db\nmodels:\n  - id: small\n    gguf: {ModelFile}\n");
        await AssertRefusedAsync($"The store of answers {store} is damaged, or no store of answers; ", "--config", file, "--urls", "127.0.0.1:0");
    }

    [Fact]
    public async Task A_wrong_configuration_names_line_and_column()
    {
        var file = Write("listen: x:y\n");
        Assert.Equal(2, await ServeAsync("--config", file));
        Assert.StartsWith($"{file}:1:9: ", _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task B105_Nothing_but_the_configuration_says_what_is_listened_on()
    {
        var ports = new int[2];
        for (var i = 0; i < ports.Length; i++)
        {
            using var free = new TcpListener(IPAddress.Loopback, 0);
            free.Start();
            ports[i] = ((IPEndPoint)free.LocalEndpoint).Port;
        }

        var file = Write($"models:\n  - id: small\n    gguf: {ModelFile}\n");
        var variables = new Dictionary<string, string>
        {
            ["Kestrel__Endpoints__X__Url"] = $"http://0.0.0.0:{ports[0]}",
            ["ASPNETCORE_Kestrel__Endpoints__Y__Url"] = $"http://0.0.0.0:{ports[0]}",
            ["ASPNETCORE_URLS"] = $"http://0.0.0.0:{ports[1]}",
            ["ASPNETCORE_PREFERHOSTINGURLS"] = "true",
            ["ASPNETCORE_HTTP_PORTS"] = $"{ports[1]}",
            ["DOTNET_URLS"] = $"http://0.0.0.0:{ports[1]}",
        };
        await using var serve = await ServeProcess.StartAsync(file, Models, variables: variables);
        Assert.Equal(HttpStatusCode.OK, (await serve.Http.GetAsync(new Uri("/v1/models", UriKind.Relative))).StatusCode);
        foreach (var port in ports)
        {
            using var client = new TcpClient();
            await Assert.ThrowsAnyAsync<SocketException>(async () => await client.ConnectAsync(IPAddress.Loopback, port));
        }
    }

    [Fact]
    public async Task With_few_files_clients_are_refused_and_the_hub_goes_on()
    {
        if (OperatingSystem.IsWindows()) return;
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        var file = Write($"models:\n{UpstreamHub.Model("m", upstream)}    retries: 0\n");
        await using var serve = await ServeProcess.StartAsync(file, Models, files: 256);
        var address = serve.Http.BaseAddress!;
        async Task<int> StatusAsync()
        {
            using var http = new HttpClient { BaseAddress = address };
            using var content = new StringContent(UpstreamHub.Ask(), Encoding.UTF8, "application/json");
            using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content);
            return (int)response.StatusCode;
        }

        var idle = new List<TcpClient>();
        for (var i = 0; i < 400; i++)
        {
            var client = new TcpClient();
            await client.ConnectAsync(address.Host, address.Port);
            idle.Add(client);
            if (i % 40 == 39) Assert.True(await StatusAsync() is 200 or 503);
        }

        // They are idle long enough to give their places.
        await Task.Delay(1_500);
        Assert.Equal(200, await StatusAsync());

        var statuses = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => StatusAsync()));
        Assert.All(statuses, status => Assert.True(status is 200 or 503, $"{status}"));
        foreach (var client in idle) client.Dispose();
        await Task.Delay(1_500);
        Assert.Equal(200, await StatusAsync());
    }

    private sealed class NoonTime : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    }

    private Task<int> ServeAsync(params string[] options) =>
        _terminal.RunAsync(options.Contains("--models") ? ["serve", .. options] : ["serve", "--models", Models, .. options]);

    /// <summary>The line on the output; fails when the hub ends before it writes one.</summary>
    private async Task<string> AnnouncementAsync(Task<int> serve)
    {
        var written = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        _terminal.Written = output => written.TrySetResult(output);
        if (_terminal.Output.Length > 0)
        {
            return _terminal.Output;
        }

        Assert.True(await Task.WhenAny(written.Task, serve) == written.Task, _terminal.Error);
        return await written.Task;
    }

    private static async Task<string> ModelsAsync(HttpClient http, string url) =>
        await http.GetStringAsync(new Uri(new Uri(url), "/v1/models/Llama-3.3-70B-Instruct"));

    private async Task AssertRefusedAsync(string sentence, params string[] options)
    {
        Assert.Equal(2, await ServeAsync(options));
        Assert.StartsWith("sluice: " + sentence, _terminal.Error, StringComparison.Ordinal);
        Assert.Equal(1, _terminal.Error.AsSpan().Count('\n'));
        Assert.Empty(_terminal.Output);
    }

    private string Write(string yaml)
    {
        var file = Path.Combine(_folder, "sluice.yaml");
        File.WriteAllText(file, yaml);
        return file;
    }

    private static string UrlIn(string lines) => Announcement().Match(lines) is { Success: true } match ? match.Groups["url"].Value : throw new InvalidOperationException(lines);

    [GeneratedRegex("^Sluice serves at (?<url>\\S+)$", RegexOptions.Multiline)]
    private static partial Regex Announcement();
}
