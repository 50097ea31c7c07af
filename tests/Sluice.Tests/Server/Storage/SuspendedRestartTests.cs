using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>What answers of the local engine took, over a restart: whole hubs one after the other with one file and a scripted model, on a manual clock.</summary>
public sealed class SuspendedRestartTests : IDisposable
{
    private const string Ask = """{"model":"scripted","stream":true,"messages":[{"role":"user","content":"pause"}],"stream_options":{"include_usage":true}}""";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-suspended-").FullName;
    private readonly ManualTimeProvider _clock = new();
    private readonly Gate _gate = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _gate.Open();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<TestHub> StartAsync()
    {
        var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Time = _clock, StorePath = Path.Combine(_folder, "answers.db"), Limits = new Limits { ErrorEventLead = TimeSpan.FromMilliseconds(20) } });
        hub.Scripts["pause"] = new Script().Say("Hello world").Wait(_gate).Say(" one two three");
        return hub;
    }

    private static HttpClient ClientOf(TestHub hub) => new(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = hub.Address };

    // Its client reads two words and leaves.
    private static async Task<string> SuspendAsync(HttpClient http, string ask = Ask)
    {
        string id;
        using (var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(ask, Encoding.UTF8, "application/json") })
        using (var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation))
        {
            id = response.Headers.GetValues("Sluice-Stream-Id").Single();
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            for (var count = 0; count < 3;)
            {
                if ((await reader.ReadLineAsync(Cancellation))!.StartsWith("data: ", StringComparison.Ordinal)) count++;
            }
        }
        while (!(await GetAsync(http, $"/v1/chat/completions/{id}")).Contains("\"state\":\"suspended\"", StringComparison.Ordinal)) await Task.Delay(2, Cancellation);
        return id;
    }

    private static Task<string> GetAsync(HttpClient http, string path) => http.GetStringAsync(new Uri(path, UriKind.Relative), Cancellation);

    [Fact]
    public async Task Cancelled_after_the_restart_it_tells_what_it_took()
    {
        string id;
        await using (var hub = await StartAsync())
        {
            using var http = ClientOf(hub);
            id = await SuspendAsync(http);
        }
        await using (var hub = await StartAsync())
        {
            using var http = ClientOf(hub);
            using var cancelled = await http.PostAsync(new Uri($"/v1/chat/completions/{id}/cancel", UriKind.Relative), null, Cancellation);
            var billing = await cancelled.Content.ReadAsStringAsync(Cancellation);
            Assert.Contains("\"billing\":{\"prompt_tokens\":", billing, StringComparison.Ordinal);
            Assert.DoesNotContain("\"prompt_tokens\":0,", billing, StringComparison.Ordinal);
            Assert.Contains("\"completion_tokens\":2,\"estimated\":false", billing, StringComparison.Ordinal);
            var events = await GetAsync(http, $"/v1/chat/completions/{id}?stream=true");
            Assert.Contains("\"completion_tokens\":2,", events, StringComparison.Ordinal);
            Assert.DoesNotContain("estimated", events, StringComparison.Ordinal);
            Assert.Contains("gen_ai_client_token_usage_sum", await GetAsync(http, "/metrics"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Several_choices_that_no_other_process_goes_on_with_are_counted_where_they_were_made()
    {
        await using var hub = await StartAsync();
        using var http = ClientOf(hub);
        var id = await SuspendAsync(http, Ask[..^1] + ",\"n\":2}");
        var table = hub.Services.GetRequiredService<AnswerTable>();
        await table.EndAllAsync(Cancellation);
        table.TryFind(id, "", out var answer);
        await answer!.Produced;
        Assert.Contains("gen_ai_client_token_usage_sum", await GetAsync(http, "/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_left_to_the_next_process_is_counted_there_alone()
    {
        string id;
        await using (var hub = await StartAsync())
        {
            using var http = ClientOf(hub);
            id = await SuspendAsync(http);
            // As a stop does, while the metrics can be asked for still.
            var table = hub.Services.GetRequiredService<AnswerTable>();
            await table.EndAllAsync(Cancellation);
            table.TryFind(id, "", out var answer);
            await answer!.Produced;
            Assert.DoesNotContain("gen_ai_client_token_usage_sum", await GetAsync(http, "/metrics"), StringComparison.Ordinal);
        }
        await using (var hub = await StartAsync())
        {
            using var http = ClientOf(hub);
            _gate.Open();
            Assert.EndsWith("data: [DONE]\n\n", await GetAsync(http, $"/v1/chat/completions/{id}?stream=true"), StringComparison.Ordinal);
            hub.Services.GetRequiredService<AnswerTable>().TryFind(id, "", out var answer);
            await answer!.Produced;
            // Its line in the log says by whom it was made.
            Assert.Equal("local", answer.Record.Upstream);
            // Two words and three, and the end.
            var metrics = await GetAsync(http, "/metrics");
            Assert.Matches("gen_ai_client_token_usage_sum\\{[^}]*output[^}]*\\} 6\n", metrics);
        }
    }
}
