using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Server;
using Sluice.Server.Endpoints;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Headers of clients that go to upstreams: as bytes where HTTP allows them, else not at all, and never to the upstream's cost.</summary>
public sealed class ClientHeaderTests
{
    // A character is a byte.
    [Theory]
    [InlineData("caf\u00c3\u00a9", true)]
    [InlineData("caf\u00e9", true)]
    [InlineData("\u00e6\u0097\u00a5\u00e6\u009c\u00ac", true)]
    [InlineData("a\tb", true)]
    [InlineData("a\u0001b", false)]
    [InlineData("a\u007fb", false)]
    public async Task A_header_is_sent_as_it_came_or_not_at_all(string value, bool isSent)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var http = LatinClient(hub.Http.BaseAddress!);
        foreach (var name in (string[])["X-Title", "HTTP-Referer", "baggage", "tracestate", "traceparent"])
        {
            using var response = await http.SendAsync(Ask((name, value)), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(isSent ? value : null, upstream.Calls[^1].Headers.GetValueOrDefault(name));
        }
        Assert.Equal(5, upstream.Calls.Count);
    }

    [Fact]
    public async Task Headers_that_are_too_long_together_are_left_out()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var http = LatinClient(hub.Http.BaseAddress!);
        using var response = await http.SendAsync(
            Ask(("X-Title", new string('t', 10_000)), ("HTTP-Referer", "r"), ("baggage", new string('b', 3_000)), ("tracestate", new string('s', 3_000))),
            TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var headers = upstream.Calls.Single().Headers;
        Assert.Equal((false, true, true, false), (headers.ContainsKey("X-Title"), headers.ContainsKey("HTTP-Referer"), headers.ContainsKey("tracestate"), headers.ContainsKey("baggage")));
    }

    [Fact]
    public async Task In_an_application_that_reads_UTF_8_the_bytes_are_the_same()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, application => application.MapSluice());
        using var http = LatinClient(hub.Http.BaseAddress!);
        using var response = await http.SendAsync(Ask(("X-Title", "caf\u00c3\u00a9")), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("caf\u00c3\u00a9", upstream.Calls.Single().Headers["X-Title"]);
    }

    [Fact]
    public void A_server_that_is_not_Kestrel_is_taken_to_read_UTF_8()
    {
        var context = new DefaultHttpContext();
        context.Request.Headers["X-Title"] = "caf\u00e9 \u65e5";
        Assert.Equal([KeyValuePair.Create("X-Title", "caf\u00c3\u00a9 \u00e6\u0097\u00a5")], ForwardedHeaders.Of(context.Request, []));
    }

    [Theory]
    [InlineData("Origin", "http://caf\u00e9")]
    [InlineData("Access-Control-Request-Headers", "caf\u00e9")]
    public async Task A_preflight_with_other_letters_is_no_fault_of_the_hub(string name, string value)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with { CorsOrigins = ["*"] });
        using var http = LatinClient(hub.Http.BaseAddress!);
        using var request = new HttpRequestMessage(HttpMethod.Options, "/v1/models");
        request.Headers.TryAddWithoutValidation("Origin", "http://localhost");
        request.Headers.Remove(name);
        request.Headers.TryAddWithoutValidation(name, value);
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.NotEqual(HttpStatusCode.InternalServerError, response.StatusCode);
    }

    private static HttpClient LatinClient(Uri address) =>
        new(new SocketsHttpHandler { RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1, ActivityHeadersPropagator = null }) { BaseAddress = address };

    private static HttpRequestMessage Ask(params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(UpstreamHub.Ask(), Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        return request;
    }
}
