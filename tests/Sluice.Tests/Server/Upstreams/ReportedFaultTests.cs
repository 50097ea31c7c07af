using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>
/// What public reports say that servers send, in files made by others, and what a client has to get of it: streamed, joined as SDKs do, and
/// whole alike.
/// </summary>
public sealed class ReportedFaultTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // The parts that a row names, in the order in which they are said.
    [Theory]
    [InlineData("B-001", "get_weather({\"city\": \"Berlin\"}) tool_calls 7/3")]
    [InlineData("B-002", "get_weather({\"city\":\"Berlin\"}) get_weather({\"city\":\"Paris\"}) tool_calls 7/3")]
    [InlineData("B-006", "get_weather({\"city\":\"Berlin\"}) tool_calls 7/3")]
    [InlineData("B-010", "hello stop 1200/40")]
    [InlineData("B-012", "hello stop 7/3")]
    [InlineData("B-013", "400 context_length_exceeded")]
    [InlineData("B-015", "400")]
    [InlineData("B-016", "400")]
    [InlineData("B-020a", "half length 7/3")]
    [InlineData("B-020c", "half content_filter 7/3")]
    [InlineData("B-020d", "half content_filter 7/3")]
    [InlineData("B-020g", "half content_filter 7/3")]
    [InlineData("B-021", "hello stop")]
    [InlineData("B-023", "hello stop")]
    [InlineData("B-025", "hello stop")]
    [InlineData("B-027a", "second time stop 7/3")]
    [InlineData("B-029a", "answer stop 7/3")]
    [InlineData("B-032", "get_weather({\"city\":\"Berlin\"}) tool_calls 7/3")]
    [InlineData("B-035", "hello stop 12/4")]
    [InlineData("B-037b", "hello stop 12/148")]
    [InlineData("B-047", "get_weather({\"city\":\"Berlin\"}) tool_calls 7/3")]
    [InlineData("B-048", "hello")]
    [InlineData("B-048b", "hello")]
    [InlineData("B-057a", "hello world stop 7/3")]
    [InlineData("B-057b", "hello world stop 7/3")]
    [InlineData("B-057c", "hello world stop 7/3")]
    [InlineData("B-072", "get_time({}) tool_calls 7/3")]
    [InlineData("B-082b", "get_weather({\"city\":\"Berlin\"}) tool_calls 7/3")]
    [InlineData("B-082c", "get_weather({\"city\":\"Berlin\"}) tool_calls 7/3")]
    [InlineData("B-091", "get_weather({\"city\":\"Berlin\"}) tool_calls 7/3")]
    [InlineData("B-007", "391 stop 7/3")]
    [InlineData("B-009", "get_weather({\"city\":\"Berlin\"}) tool_calls 5/7")]
    [InlineData("B-013b", "error: ")]
    [InlineData("B-013c", "400 context_length_exceeded: This model's maximum")]
    [InlineData("B-020p", "error: ")]
    [InlineData("B-021b", "hello stop 5/2")]
    [InlineData("B-024", "hello stop 5/2")]
    [InlineData("B-027h", "429 rate_limit_exceeded: Rate limit reached")]
    [InlineData("B-027k", "429 : You exceeded your current quota")]
    [InlineData("B-027e", "second time stop 7/3")]
    [InlineData("B-027q", "second time stop 7/3")]
    [InlineData("B-028", "hello stop 5/2")]
    [InlineData("B-028b", "404 : model \"qwen3\" not found")]
    [InlineData("B-029b", "answer stop 7/3")]
    [InlineData("B-029e", "answer stop 7/3")]
    [InlineData("B-031", "hello stop 7/3")]
    [InlineData("B-034", "get_weather([\"Berlin\"]) tool_calls 7/3")]
    [InlineData("B-039", "hello stop 7/3")]
    [InlineData("B-050", "get_weather({\"city\":\"Berlin\"}) get_weather({\"city\":\"Paris\"}) tool_calls")]
    [InlineData("B-055", "502 upstream_authentication: ")]
    [InlineData("B-055b", "400 invalid_value: messages.0.content: field requi")]
    [InlineData("B-058", "502 upstream_authentication: ")]
    [InlineData("B-058b", "502 InvalidParameter: <400> Range of max_tokens sh")]
    [InlineData("B-058c", "502 : model is overloaded, try later")]
    [InlineData("B-060", "a tab\there\u0001 stop 7/3")]
    [InlineData("B-061", "error: ")]
    [InlineData("B-061c", "error: ")]
    [InlineData("B-061d", "502 : Internal error: out of memory")]
    [InlineData("B-061e", "502 InvalidParameter: bad")]
    [InlineData("B-061f", "502 : Rate limit exceeded")]
    [InlineData("B-098c", "400 : User is not authorized")]
    [InlineData("B-098d", "400 : bad tool schema")]
    [InlineData("B-098e", "400 : invalid model")]
    [InlineData("B-098f", "400 : the request is wrong")]
    [InlineData("B-098g", "400 : nested detail")]
    public async Task What_servers_send_reaches_the_client(string id, string expected)
    {
        if (TestFiles.FindShared("data", "reports") is not { } folder)
        {
            Assert.Skip(TestFiles.NoShared);
            return;
        }
        foreach (var isStream in (bool[])[true, false])
        {
            await using var fresh = new ReplyFiles(folder);
            await using var hub = await UpstreamHub.StartAsync(Configuration(folder, id, fresh.Port));
            var got = await AskAsync(hub, folder, id, isStream);
            // A whole answer that breaks off is a status.
            if (expected == "error: ") Assert.True(isStream ? got.StartsWith(expected, StringComparison.Ordinal) : got[0] is '4' or '5', got);
            else Assert.StartsWith(expected, got, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("B-018", "failed_generation")]
    [InlineData("B-019", "innererror")]
    [InlineData("B-015", "")]
    public async Task Errors_keep_what_the_provider_says(string id, string member)
    {
        if (TestFiles.FindShared("data", "reports") is not { } folder)
        {
            Assert.Skip(TestFiles.NoShared);
            return;
        }
        await using var upstream = new ReplyFiles(folder);
        await using var hub = await UpstreamHub.StartAsync(Configuration(folder, id, upstream.Port));
        using var response = await hub.PostAsync(Body(folder, id, isStream: true), Cancellation);
        using var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation));
        var inner = error.RootElement.GetProperty("error");
        Assert.DoesNotContain("answered with status", inner.GetProperty("message").GetString(), StringComparison.Ordinal);
        if (member.Length > 0) Assert.True(inner.TryGetProperty(member, out _), inner.ToString());
        Assert.Equal(1, upstream.CountOf(id.ToLowerInvariant().Replace("b-", "b-", StringComparison.Ordinal)));
    }

    private static string Configuration(string folder, string id, int port)
    {
        var path = Path.Combine(folder, id + ".model.yaml");
        var model = $"b{id[1..]}";
        var own = File.Exists(path)
            ? File.ReadAllText(path).TrimEnd().Replace(":9401/", $":{port}/", StringComparison.Ordinal)
            : $"  - id: {model}\n    retries: 0\n    upstreams: [{{url: \"http://127.0.0.1:{port}/v1\", api_key: key-of-upstream}}]";
        return $"{own}\n  - id: b-999\n    retries: 0\n    upstreams: [{{url: \"http://127.0.0.1:{port}/v1\", api_key: key-of-upstream}}]\n";
    }

    private static string Body(string folder, string id, bool isStream)
    {
        var path = Path.Combine(folder, id + ".request.json");
        var request = File.Exists(path) ? File.ReadAllText(path).Trim() : """{"messages":[{"role":"user","content":"hi"}]}""";
        var options = isStream ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "";
        using var document = JsonDocument.Parse(request);
        var members = document.RootElement.EnumerateObject().Where(member => member.Name is not ("model" or "stream" or "stream_options"))
            .Select(member => $"\"{member.Name}\":{member.Value.GetRawText()}");
        return $"{{\"model\":\"b{id[1..]}\"{options},{string.Join(',', members)}}}";
    }

    // What the first choice says, its reason and the tokens; or the status and code of an error.
    private static async Task<string> AskAsync(UpstreamHub hub, string folder, string id, bool isStream)
    {
        using var response = await hub.PostAsync(Body(folder, id, isStream), Cancellation);
        var body = await ReadAsync(response);
        if (!response.IsSuccessStatusCode)
        {
            using var error = JsonDocument.Parse(body);
            return $"{(int)response.StatusCode} {error.RootElement.GetProperty("error").GetProperty("code").GetString()}: {error.RootElement.GetProperty("error").GetProperty("message").GetString()}";
        }
        var joined = new JoinedAnswer();
        if (!isStream)
        {
            using var answer = JsonDocument.Parse(body);
            joined.Add(answer.RootElement, "message");
            return joined.ToString();
        }
        // In mid-stream there is no status: an event says so, and the body is cut off.
        if (body.LastIndexOf("data: {\"error\":", StringComparison.Ordinal) is >= 0 and var failed)
        {
            using var error = JsonDocument.Parse(body[(failed + "data: ".Length)..]);
            return $"error: {error.RootElement.GetProperty("error").GetProperty("message").GetString()}";
        }
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
        foreach (var line in body.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)))
        {
            using var chunk = JsonDocument.Parse(line["data: ".Length..]);
            joined.Add(chunk.RootElement, "delta");
        }
        return joined.ToString();
    }

    private static async Task<string> ReadAsync(HttpResponseMessage response)
    {
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var text = new StringBuilder();
        var buffer = new char[4096];
        try
        {
            while (await reader.ReadAsync(buffer, Cancellation) is > 0 and var count) text.Append(buffer, 0, count);
        }
        catch (IOException)
        {
            Assert.Contains("data: {\"error\":", text.ToString(), StringComparison.Ordinal);
        }
        return text.ToString();
    }

    // As the official SDKs join chunks: calls by index, texts one behind the other.
    private sealed class JoinedAnswer
    {
        private readonly StringBuilder _content = new();
        private readonly SortedDictionary<int, (string Id, StringBuilder Name, StringBuilder Arguments)> _calls = [];
        private string? _finish;
        private string? _usage;

        public void Add(JsonElement answer, string member)
        {
            if (answer.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
                _usage = string.Create(CultureInfo.InvariantCulture, $"{usage.GetProperty("prompt_tokens").GetInt32()}/{usage.GetProperty("completion_tokens").GetInt32()}");
            foreach (var choice in answer.GetProperty("choices").EnumerateArray().Where(choice => choice.GetProperty("index").GetInt32() == 0))
            {
                if (choice.GetProperty("finish_reason").GetString() is { } reason) _finish = reason;
                var delta = choice.GetProperty(member);
                if (delta.TryGetProperty("content", out var content)) _content.Append(content.GetString());
                if (!delta.TryGetProperty("tool_calls", out var calls) || calls.ValueKind != JsonValueKind.Array) continue;
                var position = 0;
                foreach (var call in calls.EnumerateArray()) Add(call, position++);
            }
        }

        public override string ToString()
        {
            Assert.Equal(_calls.Count, _calls.Values.Select(call => call.Id).Distinct().Count());
            string[] parts = [_content.ToString(), .. _calls.Values.Select(call => $"{call.Name}({call.Arguments})"), _finish ?? "", _usage ?? ""];
            return string.Join(' ', parts.Where(part => part.Length > 0));
        }

        private void Add(JsonElement call, int position)
        {
            var index = call.TryGetProperty("index", out var stated) ? stated.GetInt32() : position;
            var known = _calls.TryGetValue(index, out var found) ? found : ("", new StringBuilder(), new StringBuilder());
            if (call.TryGetProperty("id", out var id)) known.Item1 = id.GetString()!;
            if (call.TryGetProperty("function", out var function))
            {
                if (function.TryGetProperty("name", out var name)) known.Item2.Append(name.GetString());
                if (function.TryGetProperty("arguments", out var arguments)) known.Item3.Append(arguments.GetString());
            }
            _calls[index] = known;
        }
    }
}
