using System.Globalization;
using System.Net;
using System.Text;
using Sluice.Server.Ledger;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>One of two real servers is killed while it makes answers: each is charged once, by the hub that goes on with it.</summary>
public sealed class KilledClusterLedgerTests : IDisposable
{
    private const string Key = "sk-ci-0123456789";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-killed-cluster-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string LedgerOf(string name) => Path.Combine(_folder, $"{name}.db");

    private Task<ServeProcess> StartAsync(string name, string connection, ScriptedUpstream upstream)
    {
        var port = PostgresServer.FreePort();
        var file = Path.Combine(_folder, $"{name}.yaml");
        File.WriteAllText(
            file, $"cluster: {{postgres: \"{connection}\", peer_listen: \"h2c://127.0.0.1:{port}\", advertise: \"http://127.0.0.1:{port}\", secret: sixteen characters at least}}\n"
            + $"ledger: {{path: {name}.db}}\nprices: prices.yaml\nkeys: [{{name: ci, key: {Key}, price_as: asked, budget: {{tokens: 100000000, per: month}}}}]\n"
            + $"models:\n  - id: smollm2-135m-instruct\n    gguf: SmolLM2-135M-Instruct.Q4_1.gguf\n  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n    retries: 0\n");
        File.WriteAllText(Path.Combine(_folder, "prices.yaml"), "version: 1\nmodels: {smollm2-135m-instruct: {input: 1000, output: 1000}, m: {input: 1000, output: 1000}}");
        return ServeProcess.StartAsync(file, RepositoryFiles.FullPath("models"));
    }

    private static async Task<(HttpResponseMessage Response, StreamReader Reader, string Id)> AskAsync(ServeProcess server, string model)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(
                $$"""{"model":"{{model}}","stream":true,"temperature":0,"max_tokens":120,"messages":[{"role":"user","content":"Tell me a long story about a river."}]}""", Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("Authorization", $"Bearer {Key}");
        request.Headers.Add("Sluice-On-Disconnect", "continue");
        var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        for (var events = 0; events < 6;)
            if ((await reader.ReadLineAsync(Cancellation))!.StartsWith("data: ", StringComparison.Ordinal)) events++;
        return (response, reader, response.Headers.GetValues("Sluice-Stream-Id").Single());
    }

    // T51, T65: the owner is killed, and comes back later with its ledger.
    [Fact]
    public async Task The_hub_that_goes_on_charges_the_whole_answer_and_the_one_that_was_killed_nothing()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Windows has no signals.");
        var postgres = await PostgresServer.FindAsync();
        Assert.SkipWhen(postgres is null, PostgresServer.Missing);
        var connection = await postgres.CreateDatabaseAsync();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 0; i < 8; i++) await reply.EventAsync(ScriptedUpstream.Text($"w{i}"));
            await gate.Task;
        });
        var first = await StartAsync("a", connection, upstream);
        await using var second = await StartAsync("b", connection, upstream);
        var (engine, engineReader, engineId) = await AskAsync(first, "smollm2-135m-instruct");
        var (lost, lostReader, lostId) = await AskAsync(first, "m");
        // Until the database has something of both.
        while (await postgres.QueryAsync(connection, "select count(distinct id) from sluice.event_run") != "2") await Task.Delay(20, Cancellation);
        while (await postgres.QueryAsync(connection, "select count(*) from sluice.request where progress is not null") == "0") await Task.Delay(20, Cancellation);
        await first.KillAsync();
        await first.DisposeAsync();
        foreach (var part in (IDisposable[])[engineReader, lostReader, engine, lost]) part.Dispose();
        while (await postgres.QueryAsync(connection, "select count(*) from sluice.answer where end_kind is not null") != "2") await Task.Delay(50, Cancellation);
        gate.SetResult();
        var usage = (await postgres.QueryAsync(connection, $"select prompt_tokens || ' ' || completion_tokens from sluice.answer where id = '{engineId}'"))
            .Split(' ').Select(static text => int.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        // A batch of rows later.
        await Task.Delay(500, Cancellation);
        using (var ledger = new LedgerFile(LedgerOf("b")))
        {
            var row = ledger.FindAnswer(engineId)!;
            Assert.Equal(("completed", usage[0], usage[1]), (row.EndedBy, row.Usage.PromptTokens, row.Usage.CompletionTokens));
            Assert.Equal(((long)usage[0] + usage[1]) * 1_000_000, row.ChargeNanoUsd);
            Assert.Equal((long)usage[0] + usage[1], ledger.ReadAttempts(engineId).Sum(static attempt => attempt.ChargedTokens));
            var broken = ledger.FindAnswer(lostId)!;
            Assert.Equal(("crash", true, 1), (broken.EndedBy, broken.IsEstimated, ledger.ReadAttempts(lostId).Count));
            // Each event that the database got is reckoned as a token.
            var events = int.Parse(await postgres.QueryAsync(connection, $"select max(first_event + event_count) from sluice.event_run where id = '{lostId}'"), CultureInfo.InvariantCulture);
            Assert.Equal((events, (long)(events + broken.Usage.PromptTokens) * 1_000_000), (broken.Usage.CompletionTokens, broken.ChargeNanoUsd));
            Assert.True(events > 0 && broken.Usage.PromptTokens > 0);
            Assert.Null(ledger.FindDifference());
        }
        await using var again = await StartAsync("a", connection, upstream);
        while (await postgres.QueryAsync(connection, "select count(*) from sluice.moved") != "0") await Task.Delay(50, Cancellation);
        using (var ledger = new LedgerFile(LedgerOf("a")))
        {
            foreach (var id in (string[])[engineId, lostId])
            {
                // A kill within a tenth of a second takes the row with it; then there is nothing to be put right.
                if (ledger.FindAnswer(id) is { } row) Assert.Equal(("moved", 0L, 0), (row.EndedBy, row.ChargeNanoUsd, row.Usage.TotalTokens));
                Assert.Equal(0, ledger.ReadAttempts(id).Sum(static attempt => attempt.ChargedTokens));
            }
            Assert.Empty(ledger.ReadOpen());
            Assert.Null(ledger.FindDifference());
        }
    }
}
