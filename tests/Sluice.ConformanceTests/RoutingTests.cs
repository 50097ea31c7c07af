using System.Text;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Access, paths, methods, models and browsers (H).</summary>
public sealed class RoutingTests(ScriptedHub fixture) : IClassFixture<ScriptedHub>
{
    private const string Key = "sk-conformance-0123456789";

    private ApiClient Client => fixture.Client;

    [Theory]
    [InlineData(null, null, null)]
    [InlineData("Authorization", "Bearer wrong", "invalid_api_key")]
    [InlineData("Authorization", "Basic " + Key, null)]
    [InlineData("Authorization", "Bearer", null)]
    [InlineData("api-key", "wrong", "invalid_api_key")]
    public async Task H01_Without_the_key_nothing_is_said(string? header, string? value, string? code)
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ApiKeys = [Key] });
        using var client = new ApiClient(hub);
        using var request = ApiClient.Post(client.Chat("Hello", "\"stream\":true"));
        if (header is not null) request.Headers.TryAddWithoutValidation(header, value);
        using var response = await client.SendAsync(request);
        var error = await ReceivedError.ReadAsync(response);
        Assert.Equal((401, "invalid_request_error", code), (error.Status, error.Type, error.Code));
        Assert.DoesNotContain(Key, error.Message, StringComparison.Ordinal);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }

    [Theory]
    [InlineData("Authorization", "Bearer " + Key)]
    [InlineData("authorization", "bearer " + Key)]
    [InlineData("Authorization", "BEARER    " + Key + "  ")]
    [InlineData("api-key", Key)]
    public async Task H02_The_key_may_be_sent_in_several_ways(string header, string value)
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ApiKeys = ["sk-another", Key] });
        using var client = new ApiClient(hub);
        using var request = ApiClient.Post(client.Chat("Hello", "\"stream\":true"));
        request.Headers.TryAddWithoutValidation(header, value);
        using var response = await client.SendAsync(request);
        Assert.Equal("Hello", (await ChatStream.ReadAsync(response)).Content());
    }

    [Fact]
    public async Task H02_An_open_hub_takes_any_key()
    {
        using var request = ApiClient.Post(Client.Chat("Hello"));
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer EMPTY");
        using var response = await Client.SendAsync(request);
        Assert.True(response.IsSuccessStatusCode);
    }

    [Fact]
    public async Task H03_An_unknown_model_is_404()
    {
        var error = await Client.RefuseAsync(Client.Chat("Hello", "\"stream\":true", model: "nobody"));
        Assert.Equal((404, null, "model_not_found"), (error.Status, error.Param, error.Code));
        Assert.Equal("The model `nobody` does not exist or you do not have access to it.", error.Message);
    }

    [Fact]
    public async Task H03_An_alias_answers_under_its_own_name()
    {
        using var response = await Client.SendAsync(Client.Chat("Hello", "\"stream\":true", model: "scripted-alias"));
        Assert.All((await ChatStream.ReadAsync(response)).Chunks, chunk => Assert.Equal("scripted-alias", chunk.Text("model")));
    }

    [Theory]
    [InlineData("GET", "/v1/chat/completions", 405, "Only POST requests are accepted.")]
    [InlineData("DELETE", "/v1/chat/completions", 405, "Only POST requests are accepted.")]
    [InlineData("POST", "/v1/nope", 404, "Invalid URL (POST /v1/nope). The paths here are /v1/chat/completions, *")]
    [InlineData("POST", "/v1/v1/chat/completions", 404, "Invalid URL (POST /v1/v1/chat/completions). Did you mean /v1/chat/completions? The paths here are *")]
    [InlineData("POST", "/v1/chat/completion", 404, "Invalid URL (POST /v1/chat/completion). Did you mean /v1/chat/completions? *")]
    [InlineData("GET", "/readz", 404, "Invalid URL (GET /readz). Did you mean /readyz? *")]
    [InlineData("GET", "/nope", 404, "Invalid URL (GET /nope). The paths here are *")]
    [InlineData("GET", "/v1/models/nope", 404, "The model `nope` does not exist or you do not have access to it.")]
    [InlineData("POST", "/v1/models", 405, "Only GET requests are accepted.")]
    public async Task H04_What_is_not_there_is_told_in_JSON(string method, string path, int status, string message)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await Client.SendAsync(request);
        var error = await ReceivedError.ReadAsync(response);
        Assert.Equal(status, error.Status);
        if (message.EndsWith('*')) Assert.StartsWith(message[..^1], error.Message, StringComparison.Ordinal);
        else Assert.Equal(message, error.Message);
    }

    [Fact]
    public async Task H05_The_models_are_listed()
    {
        var list = Json.Parse(await Client.Http.GetStringAsync(new Uri("/v1/models", UriKind.Relative)));
        Assert.Equal("list", list.Text("object"));
        Assert.Equal(["scripted", "scripted-alias"], list.GetProperty("data").EnumerateArray().Select(model => model.Text("id")));
        Assert.All(list.GetProperty("data").EnumerateArray(), model =>
        {
            Assert.Equal("model", model.Text("object"));
            Assert.True(model.GetProperty("created").TryGetInt64(out _));
            Assert.Equal("sluice", model.Text("owned_by"));
        });
        var one = Json.Parse(await Client.Http.GetStringAsync(new Uri("/v1/models/scripted", UriKind.Relative)));
        Assert.Equal("scripted", one.Text("id"));
    }

    [Fact]
    public async Task H06_A_preflight_allows_what_the_SDKs_send()
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, ApiClient.ChatPath);
        request.Headers.Add("Origin", "http://localhost:3000");
        request.Headers.Add("Access-Control-Request-Method", "POST");
        request.Headers.Add("Access-Control-Request-Headers", "authorization,content-type,x-stainless-lang,x-stainless-retry-count");
        using var response = await Client.SendAsync(request);
        Assert.Equal(204, (int)response.StatusCode);
        Assert.Equal("http://localhost:3000", Header("Access-Control-Allow-Origin"));
        Assert.Contains("POST", Header("Access-Control-Allow-Methods"), StringComparison.Ordinal);
        foreach (var name in (string[])["authorization", "content-type", "x-stainless-lang", "x-stainless-retry-count"])
        {
            Assert.Contains(name, Header("Access-Control-Allow-Headers"), StringComparison.Ordinal);
        }

        string Header(string name) => Assert.Single(response.Headers.GetValues(name));
    }

    [Theory]
    [InlineData("http://localhost:3000", true)]
    [InlineData("http://127.0.0.1:8080", true)]
    [InlineData("https://evil.example", false)]
    public async Task H06_A_page_reads_the_answer_only_where_it_may(string origin, bool mayRead)
    {
        using var request = ApiClient.Post(Client.Chat("Hello", "\"stream\":true"));
        request.Headers.Add("Origin", origin);
        using var response = await Client.SendAsync(request);
        Assert.Equal(mayRead, response.Headers.Contains("Access-Control-Allow-Origin"));
        if (mayRead) Assert.Contains("x-request-id", Assert.Single(response.Headers.GetValues("Access-Control-Expose-Headers")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task H06_A_configured_origin_may_read()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { CorsOrigins = ["https://chat.example.com"] });
        using var client = new ApiClient(hub);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Add("Origin", "https://chat.example.com");
        using var response = await client.SendAsync(request);
        Assert.Equal("https://chat.example.com", Assert.Single(response.Headers.GetValues("Access-Control-Allow-Origin")));
    }

    [Theory]
    [InlineData("/v1/chat/completions/")]
    [InlineData("//v1/chat/completions")]
    [InlineData("/v1//chat/completions")]
    public async Task H07_Slashes_too_many_are_no_redirect(string path)
    {
        using var connection = await RawConnection.OpenAsync(fixture.Hub.Address);
        var body = Client.Chat("Hello", "\"stream\":true");
        await connection.SendAsync(
            $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");
        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
        Assert.Equal("Hello", ChatStream.Parse(await connection.ReadBodyAsync()).Content());
    }

    [Fact]
    public async Task H_A_foreign_host_name_is_refused()
    {
        using var connection = await RawConnection.OpenAsync(fixture.Hub.Address);
        await connection.SendAsync("GET /v1/models HTTP/1.1\r\nHost: rebound.example\r\n\r\n");
        var head = await connection.ReadHeadAsync();
        var error = ReceivedError.Read(head.Status, await connection.ReadBodyAsync(head));
        Assert.Equal((403, "host_not_allowed"), (error.Status, error.Code));
    }

    [Theory]
    [InlineData("/healthz")]
    [InlineData("/readyz")]
    public async Task H_Probes_need_no_key(string path)
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ApiKeys = [Key] });
        using var client = new ApiClient(hub);
        // The only model loads while the hub starts; until then the hub is not ready.
        var statuses = new List<int>();
        while (statuses.LastOrDefault() is 0 or 503)
        {
            using var response = await client.Http.GetAsync(new Uri(path, UriKind.Relative));
            statuses.Add((int)response.StatusCode);
        }

        Assert.Equal(200, statuses[^1]);
        Assert.True(path == "/readyz" || statuses.Count == 1);
    }
}
