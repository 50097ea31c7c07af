using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Console;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Console;

/// <summary>What the console sends, and to whom; what a browser does with it is tested in a browser.</summary>
public sealed class ConsoleEndpointTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-console-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static async Task<HttpResponseMessage> GetAsync(Uri address, string path, params (string Name, string Value)[] headers)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(address, path));
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await http.SendAsync(request, Cancellation);
    }

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        using (response) return JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation)).RootElement.Clone();
    }

    private static async Task AskAsync(UpstreamHub hub, params (string, string)[] headers)
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, headers);
        await UpstreamHub.EventsAsync(response);
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
    }

    [Fact]
    public async Task The_page_and_its_files_have_a_strict_policy_and_are_not_sent_twice()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: static options => options with { ApiKeys = ["k"] });
        var files = new ConsoleFiles();
        Assert.Contains("/", files.Paths);
        foreach (var path in files.Paths)
        {
            // Without a key: there is nothing of this hub in it.
            using var response = await GetAsync(new Uri(hub.Address), path);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            var policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));
            Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self';", policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
            Assert.Contains("require-trusted-types-for 'script'", policy, StringComparison.Ordinal);
            Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
            Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
            using var again = await GetAsync(new Uri(hub.Address), path, ("If-None-Match", response.Headers.ETag!.ToString()));
            Assert.Equal(HttpStatusCode.NotModified, again.StatusCode);
            Assert.Empty(await again.Content.ReadAsByteArrayAsync(Cancellation));
        }
        using var data = await GetAsync(new Uri(hub.Address), "/console/api/answers");
        Assert.Equal(HttpStatusCode.Unauthorized, data.StatusCode);
        using var rebound = await GetAsync(new Uri(hub.Address), "/", ("Host", "evil.example"));
        Assert.Equal(HttpStatusCode.Forbidden, rebound.StatusCode);
    }

    [Fact]
    public void No_file_of_the_page_has_inline_code_or_makes_markup_of_text_or_names_another_server()
    {
        var files = new ConsoleFiles();
        foreach (var path in files.Paths)
        {
            Assert.True(files.TryFind(path, out var file));
            var text = Encoding.UTF8.GetString(file.Bytes.Span);
            Assert.DoesNotMatch(@"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment|DOMParser", text);
            if (path == "/") Assert.DoesNotMatch(@"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", text);
            if (!path.EndsWith(".svg", StringComparison.Ordinal)) Assert.DoesNotMatch(@"https?://(?!www\.w3\.org/2000/svg)[a-z]", Regex.Replace(text, @"/\^https\?.*", ""));
        }
    }

    [Fact]
    public async Task Console_false_leaves_nothing_of_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: static options => options with { Console = false });
        foreach (var path in (string[])["/", "/console/app.js", "/console/api/hub", "/console/api/answers"])
        {
            using var response = await GetAsync(new Uri(hub.Address), path);
            Assert.Equal((HttpStatusCode.NotFound, "application/json"), (response.StatusCode, response.Content.Headers.ContentType!.MediaType));
        }
    }

    [Fact]
    public async Task A_caller_sees_own_answers_and_models_only()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + UpstreamHub.Model("n", upstream), configure: static options => options with
        {
            ApiKeys = [new ApiKey("a", "key-a")],
            Keys = [new KeyOptions("b", "key-b") { Models = ["n"] }],
        });
        await AskAsync(hub, ("Authorization", "Bearer key-a"));
        var own = (await ReadAsync(await GetAsync(new Uri(hub.Address), "/console/api/answers", ("Authorization", "Bearer key-a")))).GetProperty("answers");
        var answer = Assert.Single(own.EnumerateArray());
        Assert.StartsWith("chatcmpl-", answer.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal(("completed", "m", "/v1/chat/completions", 0), (
            answer.GetProperty("state").GetString(), answer.GetProperty("model").GetString(), answer.GetProperty("path").GetString(), answer.GetProperty("readers").GetInt32()));
        Assert.False(answer.TryGetProperty("owner", out _));
        var others = await ReadAsync(await GetAsync(new Uri(hub.Address), "/console/api/answers", ("Authorization", "Bearer key-b")));
        Assert.Empty(others.GetProperty("answers").EnumerateArray());
        var models = await ReadAsync(await GetAsync(new Uri(hub.Address), "/console/api/hub", ("Authorization", "Bearer key-b")));
        Assert.Equal(["n"], models.GetProperty("models").EnumerateArray().Select(static model => model.GetProperty("id").GetString()));
        var health = await ReadAsync(await GetAsync(new Uri(hub.Address), "/console/api/health", ("Authorization", "Bearer key-b")));
        Assert.Equal(["n"], health.GetProperty("models").EnumerateArray().Select(static model => model.GetProperty("id").GetString()));
        Assert.Equal(["n"], health.GetProperty("upstreams").EnumerateArray().Select(static model => model.GetProperty("model").GetString()));
        // A caller ends an answer where it is, as any client does; this way is an administrator's.
        using var http = new HttpClient { DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", "key-a") } };
        using var refused = await http.PostAsync(new Uri(hub.Address + $"/console/api/answers/{answer.GetProperty("id").GetString()}/cancel"), null, Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
    }

    [Fact]
    public async Task Without_keys_nobody_learns_an_id_that_the_page_did_not_name()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: static options => options with { AllowedHosts = ["*"] });
        using var asked = await hub.PostAsync(UpstreamHub.Ask(), Cancellation);
        await UpstreamHub.EventsAsync(asked);
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        var id = Assert.Single(asked.Headers.GetValues("Sluice-Stream-Id"));
        await AskAsync(hub);
        async Task<IEnumerable<string?>> IdsAsync(params (string, string)[] headers) =>
            (await ReadAsync(await GetAsync(new Uri(hub.Address), "/console/api/answers", headers))).GetProperty("answers").EnumerateArray()
                .Select(static answer => answer.TryGetProperty("id", out var given) ? given.GetString() : null);
        // A connection of this machine is that of everybody behind a proxy on it.
        Assert.Equal([null, null], await IdsAsync());
        Assert.Equal([null, null], await IdsAsync(("Sluice-Known-Answers", "chatcmpl-other, *,,")));
        Assert.Equal([null, id], await IdsAsync(("Sluice-Known-Answers", $"chatcmpl-other,{id}")));
    }

    [Theory]
    [InlineData("http://localhost:3000")]
    [InlineData("https://chat.example.com")]
    [InlineData("null")]
    public async Task Other_pages_get_none_of_its_data_though_they_may_read_answers(string origin)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: static options => options with { CorsOrigins = ["https://chat.example.com"] });
        foreach (var path in (string[])["hub", "answers", "health"])
        {
            using var response = await GetAsync(new Uri(hub.Address), $"/console/api/{path}", ("Origin", origin));
            Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        }
        using var own = await GetAsync(new Uri(hub.Address), "/console/api/answers", ("Origin", hub.Address));
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
    }

    [Fact]
    public async Task Health_counts_requests_tokens_errors_and_faults_by_the_minute()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(ScriptedUpstream.Role(), ScriptedUpstream.Text("a"), ScriptedUpstream.Text("b"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage()),
            ScriptedUpstream.Refuses(500, """{"error":{"message":"down"}}"""));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n");
        await AskAsync(hub);
        using (await hub.PostAsync(UpstreamHub.Ask(), Cancellation))
        {
            await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        }
        var health = await ReadAsync(await GetAsync(new Uri(hub.Address), "/console/api/health"));
        var model = Assert.Single(health.GetProperty("models").EnumerateArray());
        Assert.Equal((2, 1, 7, 3), (
            model.GetProperty("requests").GetInt32(), model.GetProperty("errors").GetInt32(), model.GetProperty("input_tokens").GetInt32(), model.GetProperty("output_tokens").GetInt32()));
        Assert.True(model.GetProperty("first_p95").GetDouble() > 0 && model.GetProperty("gap_p50").GetDouble() > 0);
        Assert.Equal(60, model.GetProperty("by_minute").GetProperty("requests").GetArrayLength());
        var at = Assert.Single(health.GetProperty("upstreams").EnumerateArray());
        Assert.Equal((2, 1, "closed"), (
            at.GetProperty("attempts").EnumerateArray().Sum(static one => one.GetInt32()), at.GetProperty("faults").EnumerateArray().Sum(static one => one.GetInt32()), at.GetProperty("breaker").GetString()));
    }

    [Fact]
    public async Task Administrators_see_everybodys_answers_make_keys_and_nobody_else_does()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with
        {
            ApiKeys = [new ApiKey("a", "key-a")],
            Ledger = new LedgerOptions { Path = Path.Combine(_folder, "ledger.db") },
            Admin = new AdminOptions { Address = new ListenAddress("127.0.0.1", 0), Keys = ["root-key"] },
        });
        var door = new Uri(hub.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Last());
        await AskAsync(hub, ("Authorization", "Bearer key-a"));
        var answers = await ReadAsync(await GetAsync(door, "/console/api/answers", ("Authorization", "Bearer root-key")));
        Assert.Equal("a", Assert.Single(answers.GetProperty("answers").EnumerateArray()).GetProperty("owner").GetString());
        using (var page = await GetAsync(door, "/")) Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        using (var refused = await GetAsync(door, "/console/api/answers", ("Authorization", "Bearer key-a"))) Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        using (var elsewhere = await GetAsync(new Uri(hub.Address), "/admin/keys", ("Authorization", "Bearer key-a"))) Assert.Equal(HttpStatusCode.NotFound, elsewhere.StatusCode);

        using var http = new HttpClient { BaseAddress = door, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", "root-key") } };
        async Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(string path, string body, string type = "application/json")
        {
            using var content = new StringContent(body, Encoding.UTF8, type);
            using var response = await http.PostAsync(new Uri(path, UriKind.Relative), content, Cancellation);
            return (response.StatusCode, JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation)).RootElement.Clone());
        }
        var (status, made) = await PostAsync("/admin/keys", """{"name":"ci","rpm":60,"models":["m*"],"budgets":[{"usd":0.25,"per":"day"},{"tokens":500,"per":"total"}],"expires_at":4102444800}""");
        Assert.Equal(HttpStatusCode.Created, status);
        var id = made.GetProperty("id").GetString();
        Assert.StartsWith("sk-sl-", made.GetProperty("key").GetString(), StringComparison.Ordinal);
        foreach (var (body, name) in ((string, string)[])
        [
            ("{}", "name"), ("""{"name":"ci"}""", "name"), ("""{"name":"a b"}""", "name"), ("""{"name":"x","rpm":0}""", "rpm"), ("""{"name":"x","tpm":1.5}""", "tpm"), ("""{"name":"x","parallel":"2"}""", "parallel"),
            ("""{"name":"x","project":"none"}""", "project"), ("""{"name":"x","models":["a*b"]}""", "models"), ("""{"name":"x","budgets":[{"usd":1,"tokens":1,"per":"day"}]}""", "budgets"),
            ("""{"name":"x","budgets":[{"usd":1,"per":"day"},{"usd":2,"per":"day"}]}""", "budgets"), ("""{"name":"x","expires_at":1}""", "expires_at"), ("""{"name":"x","rmp":1}""", "rmp"),
        ])
        {
            var (wrong, error) = await PostAsync("/admin/keys", body);
            Assert.Equal((HttpStatusCode.BadRequest, name), (wrong, error.GetProperty("error").GetProperty("param").GetString()));
        }
        Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync("/admin/keys", "[1]")).Status);
        // A form of another page can't send JSON without being asked first.
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await PostAsync("/admin/keys", """{"name":"x"}""", "text/plain")).Status);
        var (_, changed) = await PostAsync($"/admin/keys/{id}", """{"rpm":null,"parallel":3}""");
        Assert.False(changed.TryGetProperty("rpm", out _));
        Assert.Equal(("ci", 3, 2), (changed.GetProperty("name").GetString(), changed.GetProperty("parallel").GetInt32(), changed.GetProperty("budgets").GetArrayLength()));
        Assert.NotEqual(made.GetProperty("key").GetString(), (await PostAsync($"/admin/keys/{id}/rotate", "{}")).Body.GetProperty("key").GetString());
        Assert.Equal("revoked", (await PostAsync("/admin/keys/ci/revoke", "{}")).Body.GetProperty("state").GetString());
        Assert.Equal(HttpStatusCode.Forbidden, (await PostAsync($"/admin/keys/{id}/rotate", "{}")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await PostAsync("/admin/keys/nobody/revoke", "{}")).Status);
        var listed = await ReadAsync(await GetAsync(door, "/admin/keys", ("Authorization", "Bearer root-key")));
        Assert.DoesNotContain("hash", listed.ToString(), StringComparison.Ordinal);
        Assert.Equal("revoked", Assert.Single(listed.GetProperty("keys").EnumerateArray()).GetProperty("state").GetString());
    }
}
