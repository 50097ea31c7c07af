using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Sluice.Server.Ledger;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>A real server with a ledger is killed again and again while it answers: no answer that it was paid for is lost or there twice.</summary>
public sealed class KilledLedgerTests : IDisposable
{
    private const string Body = """{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-killed-ledger-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<ServeProcess> StartAsync(ScriptedUpstream upstream, bool isStrict)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Windows has no signals.");
        var file = Path.Combine(_folder, "sluice.yaml");
        File.WriteAllText(
            file, $"store: sqlite\nstore_path: answers.db\nledger: {{path: ledger.db, strict: {(isStrict ? "true" : "false")}}}\n"
            + $"keys: [{{name: ci, key: sk-ci-0123456789, budget: {{tokens: 100000000, per: month}}}}]\nmodels:\n  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n    retries: 0\n");
        return ServeProcess.StartAsync(file, RepositoryFiles.FullPath("models"));
    }

    // T51
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Every_answer_is_there_once_however_often_the_hub_is_killed(bool isStrict)
    {
        var random = new Random(isStrict ? 1 : 2);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 0; i < 4; i++) await reply.EventAsync(ScriptedUpstream.Text($"w{i}"));
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync(ScriptedUpstream.Usage(7, 4));
            await reply.EventAsync("[DONE]");
        });
        var (begun, ended) = (new ConcurrentBag<string>(), new ConcurrentBag<string>());
        var old = new HashSet<string>(StringComparer.Ordinal);
        for (var kill = 0; kill < 4; kill++)
        {
            var earlier = ended.ToHashSet(StringComparer.Ordinal);
            var server = await StartAsync(upstream, isStrict);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            var clients = Enumerable.Range(0, 4).Select(_ => AskUntilAsync(server, begun, ended, stop.Token)).ToList();
            for (var (wait, before) = (0, ended.Count); wait < 400 && ended.Count < before + 20; wait++) await Task.Delay(50, Cancellation);
            // What has ended by now has a second for a commit that comes ten times in one.
            var settled = ended.Where(id => !earlier.Contains(id)).ToArray();
            await Task.Delay(1000 + random.Next(100), Cancellation);
            await server.KillAsync();
            old.UnionWith(settled);
            await stop.CancelAsync();
            await Task.WhenAll(clients);
            await server.DisposeAsync();
        }
        // What was open is settled at the start.
        await (await StartAsync(upstream, isStrict)).DisposeAsync();
        using var ledger = new LedgerFile(Path.Combine(_folder, "ledger.db"));
        Assert.Empty(ledger.ReadOpen());
        Assert.Null(ledger.FindDifference());
        var lost = begun.Where(id => ledger.FindAnswer(id) is null).ToList();
        if (isStrict) Assert.Empty(lost);
        Assert.DoesNotContain(lost, old.Contains);
        foreach (var id in ended)
        {
            if (ledger.FindAnswer(id) is not { EndedBy: "completed" } row) continue;
            Assert.Equal((7, 4), (row.Usage.PromptTokens, row.Usage.CompletionTokens));
            Assert.Single(ledger.ReadAttempts(id));
        }
        Assert.True(ended.Count > 50, $"Only {ended.Count} answers ended.");
    }

    private static async Task AskUntilAsync(ServeProcess server, ConcurrentBag<string> begun, ConcurrentBag<string> ended, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Body, Encoding.UTF8, "application/json") };
                request.Headers.Add("Authorization", "Bearer sk-ci-0123456789");
                using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
                if (response.StatusCode != HttpStatusCode.OK) continue;
                var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
                begun.Add(id);
                var body = await response.Content.ReadAsStringAsync(stop);
                if (body.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal)) ended.Add(id);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
            {
                if (exception is not OperationCanceledException) await Task.Delay(5, CancellationToken.None);
            }
        }
    }
}
