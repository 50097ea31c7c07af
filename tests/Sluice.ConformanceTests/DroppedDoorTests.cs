using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.ConformanceTests.Harness;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>
/// The doors of Responses and Messages over connections that break at random places, with a client that goes on by key and cursor: each answer is the one
/// that was asked for, nothing of it is lost and nothing comes twice. Variables as for <see cref="DroppedConnectionTests"/>.
/// </summary>
public sealed class DroppedDoorTests(ITestOutputHelper output)
{
    private const int AttemptsMax = 200;

    private static readonly int s_cuts = Read("SLUICE_CUTS", 100);
    private static readonly int s_seed = Read("SLUICE_SEED", Environment.TickCount & 0xFFFF);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("responses")]
    [InlineData("messages")]
    public async Task Nothing_is_lost_and_nothing_comes_twice(string door)
    {
        output.WriteLine($"SLUICE_SEED={s_seed}");
        await using var hubs = await DroppingHubs.StartAsync(s_seed);
        var done = 0;
        await hubs.BreakAsync(s_cuts, count => Parallel.ForAsync(done, done += count, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (number, _) => await ConverseAsync(hubs, door, number)));
        output.WriteLine($"{hubs.FaultCount} connections broken, nothing lost, nothing doubled");
    }

    private static int Read(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    private static async Task ConverseAsync(DroppingHubs hubs, string door, int number)
    {
        var random = new Random(unchecked((s_seed * 1_000_003) + number));
        var (text, arguments) = ($"x{Write(random)}x", $$"""{"a":{{ApiClient.Quote(Write(random))}}}""");
        var hasTools = random.Next(2) == 0;
        var (url, model, prompt) = hasTools ? (hubs.ToolsUrl, "m", $"[{ApiClient.Quote(text)},{ApiClient.Quote(arguments)}]") : (hubs.EchoUrl, "scripted", text);
        var tools = !hasTools ? "" : door == "responses" ? ",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]" : ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]";
        var body = door == "responses"
            ? $$"""{"model":"{{model}}","stream":true,"input":{{ApiClient.Quote(prompt)}}{{tools}}}"""
            : $$"""{"model":"{{model}}","stream":true,"max_tokens":1000,"messages":[{"role":"user","content":{{ApiClient.Quote(prompt)}}}]{{tools}}}""";
        var events = await ReadAsync($"{url}/{door}", body, $"key-{s_seed}-{number}");
        var said = door == "responses" ? FoldItems(events) : FoldBlocks(events);
        Assert.Equal((text, hasTools ? arguments : ""), said);
    }

    // As a client does that goes on until the last event is there.
    private static async Task<List<JsonNode>> ReadAsync(string url, string body, string key)
    {
        using var http = new HttpClient();
        var (events, cursor) = (new List<JsonNode>(), "");
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
                request.Headers.Add("Idempotency-Key", key);
                request.Headers.Add("Sluice-Event-Ids", "1");
                if (cursor.Length > 0) request.Headers.Add("Last-Event-ID", cursor);
                using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
                Assert.True(response.IsSuccessStatusCode, response.StatusCode.ToString());
                using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
                var (id, data) = ("", default(string));
                while (await reader.ReadLineAsync(Cancellation) is { } line)
                {
                    if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line["id: ".Length..];
                    else if (line.StartsWith("data: {", StringComparison.Ordinal)) data = line["data: ".Length..];
                    // An event is there when it has ended; pings have no id.
                    if (line.Length > 0) continue;
                    if (data is not null && id.Length > 0)
                    {
                        events.Add(JsonNode.Parse(data)!);
                        cursor = id;
                    }
                    (id, data) = ("", null);
                    if (events.Count > 0 && (string?)events[^1]["type"] is "response.completed" or "message_stop") return events;
                }
            }
            catch (Exception error) when (error is IOException or HttpRequestException)
            {
                await Task.Delay(5, Cancellation);
            }
        }
        throw new InvalidOperationException($"No end after {AttemptsMax} attempts: {events.Count} events.");
    }

    private static (string Text, string Arguments) FoldItems(List<JsonNode> events)
    {
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(data => (int)data["sequence_number"]!));
        string Join(string type) => string.Concat(events.Where(data => (string?)data["type"] == type).Select(data => (string?)data["delta"]));
        var items = events[^1]["response"]!["output"]!.AsArray();
        var (text, arguments) = (Join("response.output_text.delta"), Join("response.function_call_arguments.delta"));
        Assert.Equal(text, string.Concat(items.Where(item => (string?)item!["type"] == "message").Select(item => (string?)item!["content"]![0]!["text"])));
        Assert.Equal(arguments, string.Concat(items.Select(item => (string?)item!["arguments"])));
        return (text, arguments);
    }

    private static (string Text, string Arguments) FoldBlocks(List<JsonNode> events)
    {
        Assert.Equal("message_start", (string?)events[0]["type"]);
        Assert.Single(events, data => (string?)data["type"] == "message_start");
        var starts = events.Where(data => (string?)data["type"] == "content_block_start").Select(data => (int)data["index"]!).ToList();
        Assert.Equal(Enumerable.Range(0, starts.Count), starts);
        var deltas = events.Where(data => (string?)data["type"] == "content_block_delta").Select(data => data["delta"]!).ToList();
        return (string.Concat(deltas.Select(delta => (string?)delta["text"])), string.Concat(deltas.Select(delta => (string?)delta["partial_json"])));
    }

    private static string Write(Random random)
    {
        string[] pieces = ["one", " two", "Hello", " world", "ü", "ß", "\U0001F600", "日本語", "\"", "\\", "{}", "\n", "-"];
        var written = new StringBuilder();
        for (var left = new[] { 3, 7, 15, 40 }[random.Next(4)]; left > 0; left--) written.Append(pieces[random.Next(pieces.Length)]);
        return written.ToString();
    }
}
