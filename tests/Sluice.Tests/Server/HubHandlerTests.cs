using System.Net;
using System.Text;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server;

/// <summary>The hub asked within its process has to be the hub asked over HTTP.</summary>
public sealed class HubHandlerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static HttpClient ClientOf(EmbeddedHub hub) => new(new HubHandler(hub.Services)) { BaseAddress = new Uri("http://anything/") };

    private static async Task<HttpResponseMessage> AskAsync(HttpClient http, string body, string path = "/v1/chat/completions", params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_answer_is_the_same_as_over_HTTP(bool stream)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("Hel", "lo"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, static app => app.MapSluice());
        using var within = ClientOf(hub);
        // The second one is the first one's answer, by its key: id and all.
        var key = ("Idempotency-Key", "k");
        using var over = await AskAsync(hub.Http, UpstreamHub.Ask(stream: stream), headers: key);
        var bytes = await over.Content.ReadAsByteArrayAsync(Cancellation);
        using var inside = await AskAsync(within, UpstreamHub.Ask(stream: stream), headers: key);
        Assert.Equal(bytes, await inside.Content.ReadAsByteArrayAsync(Cancellation));
        Assert.Equal(over.StatusCode, inside.StatusCode);
        Assert.Equal(over.Content.Headers.ContentType, inside.Content.Headers.ContentType);
        Assert.Equal(over.Headers.GetValues("Sluice-Stream-Id"), inside.Headers.GetValues("Sluice-Stream-Id"));
        Assert.True(inside.Headers.Contains("openai-processing-ms"));
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task The_first_token_comes_before_the_second_is_made_and_leaving_stops_the_upstream()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "text/event-stream";
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("first"));
            await reply.StallAsync();
        });
        await using var hub = await EmbeddedHub.StartAsync(upstream, static app => app.MapSluice());
        using var within = ClientOf(hub);
        using (var response = await AskAsync(within, UpstreamHub.Ask(), headers: ("Sluice-On-Disconnect", "cancel")))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            var text = "";
            while (!text.Contains("first", StringComparison.Ordinal)) text += await reader.ReadLineAsync(Cancellation);
        }
        await Assert.Single(upstream.Calls).Aborted.WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
    }

    [Fact]
    public async Task An_answer_that_breaks_off_throws()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "text/event-stream";
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("first"));
            await reply.CutAsync();
        });
        await using var hub = await EmbeddedHub.StartAsync(upstream, static app => app.MapSluice());
        using var within = ClientOf(hub);
        using var response = await AskAsync(within, UpstreamHub.Ask(), headers: ("Sluice-Rescue", "off"));
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await using var stream = await response.Content.ReadAsStreamAsync(Cancellation);
            await stream.CopyToAsync(Stream.Null, Cancellation);
        });
    }

    [Fact]
    public async Task Errors_and_keys_are_those_of_the_API()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await EmbeddedHub.StartAsync(
            upstream, static app => app.MapSluice(), configure: static options => options with { ApiKeys = [ApiKey.FromString("secret-key")] });
        using var within = ClientOf(hub);
        using (var refused = await AskAsync(within, UpstreamHub.Ask())) Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        using (var unknown = await AskAsync(within, UpstreamHub.Ask("other"), headers: ("Authorization", "Bearer secret-key")))
        {
            Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
            Assert.Contains("model_not_found", await unknown.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        }
        using var models = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { { "Authorization", "Bearer secret-key" } } };
        using var list = await within.SendAsync(models, Cancellation);
        Assert.Contains("\"m\"", await list.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }
}
