using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>Answers of the local engine whose readers leave: the whole hub with a scripted model, on a manual clock.</summary>
public sealed class SuspendedAnswerTests : IAsyncDisposable
{
    private const string Key = "Idempotency-Key";
    private const string Cursor = "Last-Event-ID";
    private readonly ManualTimeProvider _clock = new();
    private readonly Gate _gate = new();
    private TestHub _hub = null!;
    private HttpClient _http = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _gate.Open();
        _http?.Dispose();
        if (_hub is not null) await _hub.DisposeAsync();
    }

    private static string Way(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Attempt").Single();

    private static string Id(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Id").Single();

    private async Task StartAsync(Limits? limits = null, EngineOptions? engine = null)
    {
        _hub = await TestHub.StartScriptedAsync(new TestHubOptions
        {
            Time = _clock,
            Limits = (limits ?? new Limits()) with { ErrorEventLead = TimeSpan.FromMilliseconds(20) },
            Engine = engine ?? new EngineOptions(),
        });
        // A client that leaves is gone at once, and reads nothing more.
        _http = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = _hub.Address };
        // A word, a wait, and some more; then an end.
        _hub.Scripts["pause"] = new Script().Say("Hello world").Wait(_gate).Say(" one two three");
        _hub.Scripts["long"] = new Script().Say("Hello world").Wait(_gate).Say(" one").Delay(TimeSpan.FromMilliseconds(20)).Say(" one").Forever();
    }

    private static string Ask(string script, bool stream = true, string more = "") =>
        $$"""{"model":"scripted","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"{{script}}"}]{{more}}}""";

    private Task<HttpResponseMessage> PostAsync(string body, params (string Name, string Value)[] headers) => PostAsync(body, Cancellation, headers);

    private Task<HttpResponseMessage> PostAsync(string body, CancellationToken cancellation, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
    }

    private static async Task<string> BodyAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return text;
    }

    private async Task<string> ObjectAsync(string id)
    {
        using var response = await _http.GetAsync(new Uri($"/v1/chat/completions/{id}", UriKind.Relative), Cancellation);
        return await response.Content.ReadAsStringAsync(Cancellation);
    }

    private async Task WhenAsync(string id, string state)
    {
        string text;
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!(text = await ObjectAsync(id)).Contains($"\"state\":\"{state}\"", StringComparison.Ordinal))
        {
            Assert.DoesNotContain("\"error\"", text, StringComparison.Ordinal);
            Assert.False(patience.IsCancellationRequested, text);
            await Task.Delay(2, Cancellation);
        }
    }

    // The events that came with text, before the client left.
    private async Task<(string Id, int Count)> LeaveAsync(string body, int eventsMin, params (string Name, string Value)[] headers)
    {
        using var response = await PostAsync(body, headers);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var count = 0;
        while (count < eventsMin)
        {
            if ((await reader.ReadLineAsync(Cancellation))!.StartsWith("data: ", StringComparison.Ordinal)) count++;
        }
        return (Id(response), count);
    }

    // Ids and times differ from answer to answer.
    private static string Text(string events)
    {
        var text = new StringBuilder();
        foreach (var line in events.Split('\n'))
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            using var chunk = JsonDocument.Parse(line[6..]);
            foreach (var choice in chunk.RootElement.GetProperty("choices").EnumerateArray())
            {
                if (choice.GetProperty("delta").TryGetProperty("content", out var content)) text.Append(content.GetString());
            }
        }
        return text.ToString();
    }

    [Theory]
    [InlineData("cursor")]
    [InlineData("get")]
    [InlineData("get-from-the-beginning")]
    public async Task Without_a_key_it_is_suspended_at_once_and_goes_on_for_whoever_knows_its_id(string how)
    {
        await StartAsync();
        var (id, count) = await LeaveAsync(Ask("pause"), 3);
        await WhenAsync(id, "suspended");
        Assert.Equal((0, 0), (_hub.ActiveCount, _hub.QueuedCount));
        var computed = _hub.ComputedTokenCount;
        _clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Contains("\"Hello world\"", await ObjectAsync(id), StringComparison.Ordinal);
        Assert.Equal(computed, _hub.ComputedTokenCount);
        _gate.Open();
        using var rest = how switch
        {
            "cursor" => await PostAsync(Ask("pause"), (Cursor, $"{id}:{count}")),
            "get" => await _http.GetAsync(new Uri($"/v1/chat/completions/{id}?stream=true&starting_after={count}", UriKind.Relative), Cancellation),
            _ => await _http.GetAsync(new Uri($"/v1/chat/completions/{id}?stream=true", UriKind.Relative), Cancellation),
        };
        var body = await BodyAsync(rest);
        Assert.Equal("resumed", Way(rest));
        Assert.Equal(how == "get-from-the-beginning" ? "Hello world one two three" : " one two three", Text(body));
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
        using var again = await _http.GetAsync(new Uri($"/v1/chat/completions/{id}?stream=true", UriKind.Relative), Cancellation);
        Assert.Equal("Hello world one two three", Text(await BodyAsync(again)));
        await _hub.WhenIdleAsync();
    }

    [Fact]
    public async Task With_a_key_it_runs_on_for_a_minute_and_is_then_suspended_and_the_same_request_goes_on()
    {
        await StartAsync();
        var (id, _) = await LeaveAsync(Ask("pause", more: ",\"stream_options\":{\"include_usage\":true}"), 3, (Key, "k"));
        await WhenAsync(id, "detached");
        Assert.Equal(1, _hub.ActiveCount);
        _clock.Advance(TimeSpan.FromSeconds(60));
        await WhenAsync(id, "suspended");
        Assert.Equal(0, _hub.ActiveCount);
        _gate.Open();
        using var rest = await PostAsync(Ask("pause", more: ",\"stream_options\":{\"include_usage\":true}"), (Key, "k"));
        Assert.Equal((HttpStatusCode.OK, "resumed"), (rest.StatusCode, Way(rest)));
        var body = await BodyAsync(rest);
        Assert.Equal("Hello world one two three", Text(body));
        // Each token once: two words and three, and the end.
        Assert.Contains("\"completion_tokens\":6,", body, StringComparison.Ordinal);
        await WhenAsync(id, "completed");
        Assert.Contains("\"billing\":{\"prompt_tokens\":", await ObjectAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_a_key_it_makes_so_much_and_is_then_suspended()
    {
        await StartAsync(new Limits { DetachedContentMax = 10 });
        var (id, _) = await LeaveAsync(Ask("long", more: ",\"max_tokens\":4000"), 3, (Key, "k"));
        await WhenAsync(id, "detached");
        _gate.Open();
        await WhenAsync(id, "suspended");
        // Two came before the client left.
        Assert.Contains($"\"Hello world{string.Concat(Enumerable.Repeat(" one", 10))}\"", await ObjectAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folded_reply_to_the_same_key_goes_on_too()
    {
        await StartAsync();
        var (id, _) = await LeaveAsync(Ask("pause"), 3, (Key, "k"));
        await WhenAsync(id, "detached");
        _clock.Advance(TimeSpan.FromSeconds(60));
        await WhenAsync(id, "suspended");
        _gate.Open();
        using var folded = await PostAsync(Ask("pause", stream: false), (Key, "k"));
        Assert.Contains("\"content\":\"Hello world one two three\"", await BodyAsync(folded), StringComparison.Ordinal);
        Assert.Equal("resumed", Way(folded));
    }

    [Fact]
    public async Task Unseen_it_is_adopted_by_the_same_request_within_fifteen_seconds()
    {
        await StartAsync();
        var id = await LeaveUnseenAsync();
        _clock.Advance(TimeSpan.FromSeconds(14));
        _gate.Open();
        using var adopted = await PostAsync(Ask("unseen"));
        Assert.Equal("adopted", Way(adopted));
        Assert.Equal("Hello", Text(await BodyAsync(adopted)));
        Assert.NotEmpty(id);
    }

    [Fact]
    public async Task Unseen_and_not_adopted_it_ends_after_fifteen_seconds()
    {
        await StartAsync();
        await LeaveUnseenAsync();
        _clock.Advance(TimeSpan.FromSeconds(15) + TimeSpan.FromMilliseconds(1));
        _gate.Open();
        using var another = await PostAsync(Ask("unseen"));
        Assert.Equal("created", Way(another));
    }

    // Leaves while the model is busy with the first token.
    private async Task<string> LeaveUnseenAsync()
    {
        _hub.Scripts["unseen"] = new Script().Wait(_gate).Say("Hello");
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var asking = PostAsync(Ask("unseen"), leaving.Token);
        await _gate.Reached;
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await _hub.WhenIdleAsync();
        return "unseen";
    }

    [Theory]
    [InlineData("cancel", "cancelled")]
    [InlineData("continue", "completed")]
    public async Task The_header_decides(string policy, string state)
    {
        await StartAsync();
        var (id, _) = await LeaveAsync(Ask("pause"), 3, ("Sluice-On-Disconnect", policy));
        if (policy == "continue")
        {
            await WhenAsync(id, "detached");
            _clock.Advance(TimeSpan.FromMinutes(5));
            _gate.Open();
        }
        await WhenAsync(id, state);
        await _hub.WhenIdleAsync();
    }

    // It is gone when it has ended, so that its slot is all there is to see.
    [Fact]
    public async Task What_is_not_to_be_kept_is_not_suspended()
    {
        await StartAsync();
        var (id, _) = await LeaveAsync(Ask("pause"), 3, ("Sluice-Store", "off"));
        await _hub.WhenIdleAsync();
        while (!(await ObjectAsync(id)).Contains("completion_not_found", StringComparison.Ordinal)) await Task.Delay(2, Cancellation);
    }

    [Fact]
    public async Task A_cancel_of_a_suspended_answer_ends_it_in_order()
    {
        await StartAsync();
        var (id, count) = await LeaveAsync(Ask("pause", more: ",\"stream_options\":{\"include_usage\":true}"), 3, (Key, "k"));
        await WhenAsync(id, "detached");
        _clock.Advance(TimeSpan.FromSeconds(60));
        await WhenAsync(id, "suspended");
        using var cancelled = await _http.PostAsync(new Uri($"/v1/chat/completions/{id}/cancel", UriKind.Relative), null, Cancellation);
        Assert.Contains("\"state\":\"cancelled\"", await BodyAsync(cancelled), StringComparison.Ordinal);
        using var rest = await _http.GetAsync(new Uri($"/v1/chat/completions/{id}?stream=true&starting_after={count}", UriKind.Relative), Cancellation);
        var body = await BodyAsync(rest);
        Assert.Contains("\"finish_reason\":\"stop\"}],\"usage\":null,\"sluice\":{\"cancelled\":true}}", body, StringComparison.Ordinal);
        Assert.Contains("\"completion_tokens\":2,", body, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
        using var late = await PostAsync(Ask("pause", more: ",\"stream_options\":{\"include_usage\":true}"), (Key, "k"));
        Assert.Equal(HttpStatusCode.Conflict, late.StatusCode);
    }

    [Fact]
    public async Task A_deleted_one_is_gone()
    {
        await StartAsync();
        var (id, _) = await LeaveAsync(Ask("pause"), 3);
        await WhenAsync(id, "suspended");
        using var deleted = await _http.DeleteAsync(new Uri($"/v1/chat/completions/{id}", UriKind.Relative), Cancellation);
        Assert.Contains("\"deleted\":true", await BodyAsync(deleted), StringComparison.Ordinal);
        Assert.Contains("completion_not_found", await ObjectAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_an_hour_it_has_expired()
    {
        await StartAsync();
        var (id, count) = await LeaveAsync(Ask("pause"), 3);
        await WhenAsync(id, "suspended");
        _clock.Advance(TimeSpan.FromMinutes(60));
        using var rest = await PostAsync(Ask("pause"), (Cursor, $"{id}:{count}"));
        Assert.Equal(HttpStatusCode.Gone, rest.StatusCode);
        Assert.Contains("stream_expired", await ObjectAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_too_many_the_first_goes()
    {
        await StartAsync(new Limits { SuspendedAnswersMax = 1 });
        var (first, _) = await LeaveAsync(Ask("pause"), 3);
        await WhenAsync(first, "suspended");
        var (second, _) = await LeaveAsync(Ask("pause"), 3);
        await WhenAsync(second, "suspended");
        Assert.Contains("stream_expired", await ObjectAsync(first), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_queue_is_429_and_the_answer_stays_suspended()
    {
        await StartAsync(engine: new EngineOptions { SlotCount = 1, QueueCapacity = 1 });
        var (id, count) = await LeaveAsync(Ask("pause"), 3);
        await WhenAsync(id, "suspended");
        using var running = await PostAsync(Ask("pause"), ("Sluice-On-Disconnect", "cancel"));
        _ = PostAsync(Ask("pause"), ("Sluice-On-Disconnect", "cancel"));
        while (_hub.QueuedCount == 0) await Task.Delay(2, Cancellation);
        using (var refused = await PostAsync(Ask("pause"), (Cursor, $"{id}:{count}")))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }
        Assert.Contains("\"state\":\"suspended\"", await ObjectAsync(id), StringComparison.Ordinal);
        _gate.Open();
        await _hub.WhenIdleAsync();
        using var rest = await PostAsync(Ask("pause"), (Cursor, $"{id}:{count}"));
        Assert.Equal(" one two three", Text(await BodyAsync(rest)));
    }

    [Fact]
    public async Task Those_who_come_at_a_time_share_one_generation()
    {
        await StartAsync();
        var (id, count) = await LeaveAsync(Ask("pause"), 3, (Key, "k"));
        await WhenAsync(id, "detached");
        _clock.Advance(TimeSpan.FromSeconds(60));
        await WhenAsync(id, "suspended");
        var coming = Enumerable.Range(0, 3).Select(_ => PostAsync(Ask("pause"), (Key, "k"), (Cursor, count.ToString(System.Globalization.CultureInfo.InvariantCulture)))).ToList();
        var readers = await Task.WhenAll(coming);
        while (_hub.ActiveCount == 0) await Task.Delay(2, Cancellation);
        Assert.Equal((1, 0), (_hub.ActiveCount, _hub.QueuedCount));
        _gate.Open();
        foreach (var reader in readers)
        {
            Assert.Equal(" one two three", Text(await BodyAsync(reader)));
            reader.Dispose();
        }
    }

    [Fact]
    public async Task Cut_again_and_again_it_is_byte_by_byte_the_answer_that_nobody_cut()
    {
        await StartAsync();
        _hub.Scripts["story"] = new Script().Say("Hello world").Mix((" one", 0.5f), (" two", 0.5f)).Say(" red").Mix((" green", 0.4f), (" blue", 0.6f)).Bytes("äöü€"u8).Say(" three four five");
        var ask = Ask("story", more: ",\"seed\":7,\"n\":1,\"logprobs\":true,\"top_logprobs\":2,\"stop\":[\" five six\"],\"stream_options\":{\"include_usage\":true}");
        // Once before, so that both find the same of their prompt in the cache.
        using (var before = await PostAsync(ask)) await BodyAsync(before);
        using var first = await PostAsync(ask);
        var whole = await BodyAsync(first);
        var parts = new StringBuilder();
        var (id, count) = await LeaveAsync(ask, 1);
        await WhenSuspendedOrEndedAsync(id);
        using (var beginning = await _http.GetAsync(new Uri($"/v1/chat/completions/{id}?stream=true", UriKind.Relative), Cancellation))
        {
            parts.Append(await BodyAsync(beginning));
        }
        Assert.Equal(1, count);
        Assert.Equal(Clean(whole, Id(first)), Clean(parts.ToString(), id));
    }

    private async Task WhenSuspendedOrEndedAsync(string id)
    {
        while ((await ObjectAsync(id)) is var text && !text.Contains("\"suspended\"", StringComparison.Ordinal) && !text.Contains("\"completed\"", StringComparison.Ordinal))
            await Task.Delay(2, Cancellation);
    }

    // Without what GET adds.
    private static string Clean(string events, string id) => string.Join('\n', events.Replace(id, "x", StringComparison.Ordinal).Split('\n').Where(static line => !line.StartsWith("id: ", StringComparison.Ordinal)));
}
