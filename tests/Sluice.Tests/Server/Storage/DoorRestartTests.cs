using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>Answers at the doors of Responses and Messages over a restart: whole hubs one after the other with one file, and a scripted model.</summary>
public sealed class DoorRestartTests : IDisposable
{
    private const string Responses = "/v1/responses";
    private const string Messages = "/v1/messages";

    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-doors-").FullName;
    private readonly Gate _gate = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _gate.Open();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<(TestHub Hub, HttpClient Http)> StartAsync()
    {
        // A background answer goes on with the start of the hub.
        var scripts = new Dictionary<string, Script>
        {
            ["pause"] = new Script().Say("Hello world").Wait(_gate).Say(" one two three"),
            ["again"] = new Script().Say("Yes."),
        };
        var hub = await TestHub.StartScriptedAsync(new TestHubOptions { StorePath = Path.Combine(_folder, "answers.db"), Scripts = scripts });
        return (hub, new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = hub.Address });
    }

    private static StringContent Ask(string path, string text, string more = "") => new(
        path == Responses ? $$"""{"model":"scripted","stream":true,"input":"{{text}}"{{more}}}""" : $$"""{"model":"scripted","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"{{text}}"}]{{more}}}""",
        Encoding.UTF8, "application/json");

    private static async Task<string> PostAsync(HttpClient http, string path, HttpContent content)
    {
        using var response = await http.PostAsync(new Uri(path, UriKind.Relative), content, Cancellation);
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return text;
    }

    private static Task<string> GetAsync(HttpClient http, string path) => http.GetStringAsync(new Uri(path, UriKind.Relative), Cancellation);

    private static List<JsonNode> Events(string body) =>
        [.. body.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => JsonNode.Parse(line["data: ".Length..])!)];

    private static string Text(IEnumerable<JsonNode> events) => string.Concat(
        events.Select(data => (string?)data["type"] == "response.output_text.delta" ? (string?)data["delta"] : (string?)data["type"] == "content_block_delta" ? (string?)data["delta"]!["text"] : null));

    // Its client reads two words and leaves.
    private static async Task<(string Id, List<JsonNode> Read)> SuspendAsync(HttpClient http, string path)
    {
        var (id, read) = ("", new List<JsonNode>());
        using (var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = Ask(path, "pause") })
        using (var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation))
        {
            id = response.Headers.GetValues("Sluice-Stream-Id").Single();
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            while (Text(read) != "Hello world")
            {
                var line = (await reader.ReadLineAsync(Cancellation))!;
                if (line.StartsWith("data: {", StringComparison.Ordinal) && !line.Contains("\"ping\"", StringComparison.Ordinal)) read.Add(JsonNode.Parse(line["data: ".Length..])!);
            }
        }
        while (!(await GetAsync(http, $"{path}/{id}")).Contains("\"state\":\"suspended\"", StringComparison.Ordinal)) await Task.Delay(2, Cancellation);
        return (id, read);
    }

    [Theory]
    [InlineData(Responses)]
    [InlineData(Messages)]
    public async Task Door_139_an_answer_goes_on_after_the_restart_as_if_nothing_had_happened(string path)
    {
        string id;
        List<JsonNode> read;
        var (hub, http) = await StartAsync();
        await using (hub)
        using (http) (id, read) = await SuspendAsync(http, path);
        _gate.Open();
        (hub, http) = await StartAsync();
        await using (hub)
        using (http)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{path}/{id}?stream=true");
            request.Headers.Add("Last-Event-ID", $"{id}:{read.Count}");
            using var response = await http.SendAsync(request, Cancellation);
            var rest = Events(await response.Content.ReadAsStringAsync(Cancellation));
            List<JsonNode> all = [.. read, .. rest];
            Assert.Equal("Hello world one two three", Text(all));
            // The whole of it from the store is what was read in two pieces.
            Assert.Equal(all.Select(data => data.ToJsonString()), Events(await GetAsync(http, $"{path}/{id}?stream=true")).Where(data => (string?)data["type"] != "ping").Select(data => data.ToJsonString()));
            var whole = JsonNode.Parse(await GetAsync(http, $"{path}/{id}"))!;
            if (path == Responses)
            {
                Assert.Equal(Enumerable.Range(0, all.Count), all.Select(data => (int)data["sequence_number"]!));
                Assert.Single(all.Where(data => data["item_id"] is not null).Select(data => (string?)data["item_id"]).Distinct());
                Assert.Equal(("completed", "Hello world one two three"), ((string?)whole["status"], (string?)whole["output"]![0]!["content"]![0]!["text"]));
                Assert.True(JsonNode.DeepEquals(all[^1]["response"]!["output"], whole["output"]));
            }
            else
            {
                Assert.Equal(("message_start", "message_stop", 1), ((string?)all[0]["type"], (string?)all[^1]["type"], all.Count(data => (string?)data["type"] == "content_block_start")));
                Assert.Equal(("end_turn", "Hello world one two three"), ((string?)whole["stop_reason"], (string?)whole["content"]![0]!["text"]));
            }
        }
    }

    [Theory]
    [InlineData(Responses)]
    [InlineData(Messages)]
    public async Task An_answer_that_has_ended_is_the_same_after_the_restart(string path)
    {
        string id, events, whole;
        _gate.Open();
        var (hub, http) = await StartAsync();
        await using (hub)
        using (http)
        {
            var body = await PostAsync(http, path, Ask(path, "pause"));
            id = path == Responses ? (string)Events(body)[0]["response"]!["id"]! : (string)Events(body)[0]["message"]!["id"]!;
            events = await GetAsync(http, $"{path}/{id}?stream=true");
            Assert.Equal(Events(body).Select(data => data.ToJsonString()), Events(events).Select(data => data.ToJsonString()));
            whole = await GetAsync(http, $"{path}/{id}");
        }
        (hub, http) = await StartAsync();
        await using (hub)
        using (http)
        {
            Assert.Equal(events, await GetAsync(http, $"{path}/{id}?stream=true"));
            Assert.Equal(whole, await GetAsync(http, $"{path}/{id}"));
            if (path != Responses) return;
            // The conversation goes on, and what it was asked with is there.
            var next = Events(await PostAsync(http, path, Ask(path, "again", $",\"previous_response_id\":\"{id}\"")));
            Assert.Equal("Yes.", Text(next));
            var items = JsonNode.Parse(await GetAsync(http, $"{path}/{(string)next[0]["response"]!["id"]!}/input_items?order=asc"))!["data"]!.AsArray();
            Assert.Equal(["user", "assistant", "user"], items.Select(item => (string?)item!["role"]));
        }
    }

    // Door-138: nobody reads it, before the restart or after it.
    [Fact]
    public async Task Door_138_a_background_response_completes_after_the_restart_without_a_reader()
    {
        string id;
        var (hub, http) = await StartAsync();
        await using (hub)
        using (http)
        {
            using var content = new StringContent("""{"model":"scripted","background":true,"input":"pause"}""", Encoding.UTF8, "application/json");
            id = (string)JsonNode.Parse(await PostAsync(http, Responses, content))!["id"]!;
            // Some of its text is there.
            while ((int)JsonNode.Parse(await GetAsync(http, $"{Responses}/{id}"))!["sluice"]!["last_event"]! < 5) await Task.Delay(5, Cancellation);
        }
        _gate.Open();
        (hub, http) = await StartAsync();
        await using (hub)
        using (http)
        {
            // The metrics say that it has ended, and don't ask for it.
            while (!(await GetAsync(http, "/metrics")).Contains("gen_ai_client_token_usage_sum", StringComparison.Ordinal)) await Task.Delay(5, Cancellation);
            var whole = JsonNode.Parse(await GetAsync(http, $"{Responses}/{id}"))!;
            Assert.Equal(("completed", "Hello world one two three", true), ((string?)whole["status"], (string?)whole["output"]![0]!["content"]![0]!["text"], (bool)whole["background"]!));
        }
    }

    // The shortened conversation is found again, and not the whole one, which the model would refuse.
    [Fact]
    public async Task An_answer_to_a_shortened_conversation_goes_on_too()
    {
        var turns = string.Concat(Enumerable.Range(0, 60).Select(i => $$"""{"role":"user","content":"{{string.Concat(Enumerable.Repeat("w ", 200))}}"},{"role":"assistant","content":"{{i}}"},"""));
        string id;
        var (hub, http) = await StartAsync();
        await using (hub)
        using (http)
        {
            using (var request = new HttpRequestMessage(HttpMethod.Post, Responses) { Content = new StringContent($$"""{"model":"scripted","stream":true,"truncation":"auto","input":[{{turns}}{"role":"user","content":"pause"}]}""", Encoding.UTF8, "application/json") })
            using (var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation))
            {
                id = response.Headers.GetValues("Sluice-Stream-Id").Single();
                using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
                while (await reader.ReadLineAsync(Cancellation) is { } line && !line.Contains(" world", StringComparison.Ordinal))
                {
                }
            }
            while (!(await GetAsync(http, $"{Responses}/{id}")).Contains("\"state\":\"suspended\"", StringComparison.Ordinal)) await Task.Delay(2, Cancellation);
        }
        _gate.Open();
        (hub, http) = await StartAsync();
        await using (hub)
        using (http)
        {
            var events = Events(await GetAsync(http, $"{Responses}/{id}?stream=true"));
            Assert.Equal("Hello world one two three", Text(events));
            Assert.True((int)events[^1]["response"]!["sluice"]!["dropped_items"]! > 0);
        }
    }
}
