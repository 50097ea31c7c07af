using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>Real hubs of a cluster are killed, stopped and put to sleep in mid-answer, with the model that the repository carries.</summary>
public sealed class KilledHubTests : IAsyncDisposable
{
    private const string Ask = """{"model":"m","stream":true,"max_tokens":300,"logit_bias":{"0":-100,"2":-100},"temperature":1,"seed":11,"messages":[{"role":"user","content":"Tell me a long story about a lighthouse."}]}""";
    private const string Model = "  - id: m\n    gguf: SmolLM2-135M-Instruct.Q4_1.gguf\n";
    private const string Key = "Idempotency-Key";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-hubs-").FullName;
    private readonly List<ServeProcess> _hubs = [];
    private PostgresServer _server = null!;
    private string _connection = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var hub in _hubs) await hub.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartAsync(int count, string models, string? connection = null)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Windows has no signals.");
        var server = await PostgresServer.FindAsync();
        Assert.SkipWhen(server is null, PostgresServer.Missing);
        (_server, _connection) = (server, await server.CreateDatabaseAsync());
        for (var i = 0; i < count; i++)
        {
            var port = PostgresServer.FreePort();
            var file = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"sluice{_hubs.Count}.yaml"));
            await File.WriteAllTextAsync(file, $$"""
                drain: 60s
                cluster:
                  postgres: "{{connection ?? _connection}}"
                  peer_listen: h2c://127.0.0.1:{{port}}
                  advertise: http://127.0.0.1:{{port}}
                  secret: a secret of this test alone
                models:
                {{models}}
                """, Cancellation);
            _hubs.Add(await ServeProcess.StartAsync(file, RepositoryFiles.FullPath("models")));
        }
        foreach (var hub in _hubs)
        {
            while (!(await hub.Http.GetStringAsync("/healthz", Cancellation)).Contains($"\"nodes\":{count}", StringComparison.Ordinal)) await Task.Delay(50, Cancellation);
        }
    }

    private Task<HttpResponseMessage> PostAsync(int hub, string body, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return _hubs[hub].Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    private static string Id(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Id").Single();

    // The time that a lease takes to run out, without waiting for it.
    private Task<string> ExpireAsync(string id) => _server.QueryAsync(
        _connection, $"update sluice.node set lease_until = clock_timestamp() - interval '1 second' where id = (select owner from sluice.answer where id = '{id}')");

    private async Task CommittedAsync(string id)
    {
        while (await _server.QueryAsync(_connection, $"select count(*) from sluice.event_run where id = '{id}'") == "0") await Task.Delay(20, Cancellation);
    }

    private static async Task<List<string>> ReadAsync(StreamReader reader, int count = int.MaxValue)
    {
        var events = new List<string>();
        try
        {
            while (events.Count < count && await reader.ReadLineAsync(Cancellation) is { } line)
            {
                if (line.StartsWith("data: ", StringComparison.Ordinal)) events.Add(line);
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            events.Add("cut");
        }
        return events;
    }

    private static async Task<StreamReader> OpenAsync(HttpResponseMessage response) => new(await response.Content.ReadAsStreamAsync(Cancellation));

    // The same story as if nothing had happened, under another id and at another time.
    private async Task<List<string>> WholeAsync(int hub)
    {
        using var response = await PostAsync(hub, Ask);
        using var reader = await OpenAsync(response);
        return TextsOf(await ReadAsync(reader));
    }

    private static List<string> TextsOf(List<string> events) =>
    [
        .. events.Where(static line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(static line =>
        {
            using var document = JsonDocument.Parse(line[6..]);
            return document.RootElement.GetProperty("choices").GetRawText();
        }),
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    public async Task When_its_hub_is_killed_an_answer_of_the_engine_goes_on_elsewhere_and_who_reads_it_there_stays(int seen)
    {
        await StartAsync(3, Model);
        var whole = await WholeAsync(1);
        using var first = await PostAsync(0, Ask, (Key, "k"));
        var id = Id(first);
        using var reader = await OpenAsync(first);
        var before = await ReadAsync(reader, seen);
        using var joined = await PostAsync(1, Ask, (Key, "k"));
        Assert.Equal(id, Id(joined));
        using var other = await OpenAsync(joined);
        var there = await ReadAsync(other, 1);
        await _hubs[0].KillAsync();
        await ExpireAsync(id);
        there.AddRange(await ReadAsync(other));
        Assert.Equal(whole, TextsOf(there));
        Assert.Equal("data: [DONE]", there[^1]);
        // Its own client comes back somewhere else, with the number of what it has.
        using var resumed = await PostAsync(2, Ask, (Key, "k"), ("Last-Event-ID", $"{id}:{seen}"));
        Assert.Equal((HttpStatusCode.OK, id), (resumed.StatusCode, Id(resumed)));
        using var rest = await OpenAsync(resumed);
        Assert.Equal(there, [.. before, .. await ReadAsync(rest)]);
    }

    [Fact]
    public async Task An_answer_of_an_upstream_is_lost_with_its_hub_and_its_key_is_free()
    {
        var isCut = true;
        await using var upstream = await ScriptedUpstream.StartAsync(
            async reply =>
            {
                await reply.EventAsync(ScriptedUpstream.Role());
                await reply.EventAsync(ScriptedUpstream.Text("cut"));
                while (isCut && !reply.Aborted.IsCancellationRequested) await Task.Delay(20, CancellationToken.None);
            },
            ScriptedUpstream.Says("whole"));
        await StartAsync(3, $"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n    retries: 0\n");
        const string Body = """{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";
        using var first = await PostAsync(0, Body, (Key, "k"));
        var id = Id(first);
        using var reader = await OpenAsync(first);
        await ReadAsync(reader, 2);
        await CommittedAsync(id);
        await _hubs[0].KillAsync();
        await ExpireAsync(id);
        using var resumed = await PostAsync(1, Body, ("Last-Event-ID", $"{id}:1"));
        Assert.Equal(HttpStatusCode.Gone, resumed.StatusCode);
        Assert.Contains("stream_lost", await resumed.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        // Of ten who try again at two hubs one makes a new one, and nobody gets the old one's number with another text.
        var retries = await Task.WhenAll(Enumerable.Range(0, 6).Select(async number =>
        {
            using var retry = await PostAsync(1 + (number % 2), Body, (Key, "k"));
            Assert.Equal(HttpStatusCode.OK, retry.StatusCode);
            return (Id(retry), await retry.Content.ReadAsStringAsync(Cancellation));
        }));
        Assert.Single(retries.Distinct());
        Assert.NotEqual(id, retries[0].Item1);
        Assert.Contains("whole", retries[0].Item2, StringComparison.Ordinal);
        Assert.Equal(2, upstream.Calls.Count);
        var seen = await _hubs[2].Http.GetStringAsync($"/v1/chat/completions/{id}", Cancellation);
        Assert.Contains("\"state\":\"failed\"", seen, StringComparison.Ordinal);
        Assert.Contains("cut", seen, StringComparison.Ordinal);
        isCut = false;
    }

    [Fact]
    public async Task A_hub_that_sleeps_past_its_lease_wakes_and_its_clients_read_on_from_whoever_has_taken_over()
    {
        await StartAsync(2, Model);
        var whole = await WholeAsync(1);
        using var first = await PostAsync(0, Ask);
        var id = Id(first);
        using var reader = await OpenAsync(first);
        var events = await ReadAsync(reader, 10);
        await CommittedAsync(id);
        _hubs[0].Signal("STOP");
        await ExpireAsync(id);
        using var resumed = await PostAsync(1, Ask, ("Last-Event-ID", $"{id}:0"));
        Assert.Equal(HttpStatusCode.OK, resumed.StatusCode);
        using var other = await OpenAsync(resumed);
        var there = await ReadAsync(other, 20);
        _hubs[0].Signal("CONT");
        events.AddRange(await ReadAsync(reader));
        there.AddRange(await ReadAsync(other));
        Assert.Equal(whole, TextsOf(there));
        Assert.Equal(there, events);
        Assert.Equal("0", await _server.QueryAsync(_connection, "select count(*) from (select id, first_event from sluice.event_run group by 1, 2 having count(*) > 1) as doubled"));
    }

    [Fact]
    public async Task Hubs_are_replaced_one_after_the_other_and_no_stream_is_cut()
    {
        await StartAsync(3, Model);
        var whole = await WholeAsync(2);
        var streams = Enumerable.Range(0, 4).Select(async number =>
        {
            using var response = await PostAsync(number % 2, Ask);
            using var reader = await OpenAsync(response);
            return TextsOf(await ReadAsync(reader));
        }).ToList();
        while (long.Parse(await _server.QueryAsync(_connection, "select count(distinct id) from sluice.event_run where first_event > 0"), CultureInfo.InvariantCulture) < 4) await Task.Delay(20, Cancellation);
        _hubs[0].Terminate();
        await Task.Delay(200, Cancellation);
        _hubs[1].Terminate();
        foreach (var stream in streams) Assert.Equal(whole, await stream);
        Assert.Equal((0, 0), (await _hubs[0].WhenEndedAsync(), await _hubs[1].WhenEndedAsync()));
    }

    [Fact]
    public async Task Hubs_work_with_a_pooler_in_transaction_mode_between_them_and_the_database()
    {
        var server = await PostgresServer.FindAsync();
        Assert.SkipWhen(server is null, PostgresServer.Missing);
        Assert.SkipWhen(!File.Exists("/usr/sbin/pgbouncer"), "pgbouncer is not installed here: apt-get install pgbouncer");
        var port = PostgresServer.FreePort();
        var database = await server.CreateDatabaseAsync();
        var words = new Npgsql.NpgsqlConnectionStringBuilder(database);
        var file = Path.Combine(_folder, "pgbouncer.ini");
        await File.WriteAllTextAsync(file, $"""
            [databases]
            * = host=127.0.0.1 port={words.Port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 3
            {(Environment.UserName == "root" ? "user = postgres" : "")}
            """.Replace("* = host=127.0.0.1", $"{words.Database} = user=sluice dbname={words.Database} host=127.0.0.1", StringComparison.Ordinal), Cancellation);
        if (!OperatingSystem.IsWindows() && Environment.UserName == "root") File.SetUnixFileMode(_folder, (UnixFileMode)0b111_101_101);
        using var pooler = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("/usr/sbin/pgbouncer", ["-q", file]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        try
        {
            await StartAsync(2, Model, $"Host=127.0.0.1;Port={port};Username=sluice;Database={words.Database}");
            _connection = database;
            var whole = await WholeAsync(1);
            using var first = await PostAsync(0, Ask, (Key, "k"));
            using var joined = await PostAsync(1, Ask, (Key, "k"));
            Assert.Equal(Id(first), Id(joined));
            using var other = await OpenAsync(joined);
            Assert.Single(await ReadAsync(other, 1));
            await CommittedAsync(Id(first));
            await _hubs[0].KillAsync();
            await ExpireAsync(Id(first));
            var rest = await ReadAsync(other);
            Assert.Equal(whole[1..], TextsOf(rest));
        }
        finally
        {
            pooler.Kill();
            await pooler.WaitForExitAsync(CancellationToken.None);
        }
    }
}
