using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Where administrators ask: by a socket or address of their own, and nowhere else.</summary>
public sealed class AdminDoorTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-admin-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string SocketPath => Path.Combine(_folder, "admin.sock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream, AdminOptions admin) => UpstreamHub.StartAsync(
        UpstreamHub.Model("m", upstream), configure: options => options with
        {
            ApiKeys = [new ApiKey("team", "k1")],
            Ledger = new LedgerOptions { Path = Path.Combine(_folder, "ledger.db") },
            Admin = admin,
        });

    private HttpClient OverSocket() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://hub") };

    private static async Task AskAsync(UpstreamHub hub)
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"user\":\"alice\""), Cancellation, ("Authorization", "Bearer k1"));
        await UpstreamHub.EventsAsync(response);
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
    }

    private static async Task<JsonElement> GetAsync(HttpClient http, string path)
    {
        using var response = await http.GetAsync(path, Cancellation);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal("no-store", response.Headers.CacheControl!.ToString());
        return JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation)).RootElement.Clone();
    }

    [Fact]
    public async Task The_socket_is_the_hubs_users_alone_and_shows_usage_in_the_shapes_of_the_api()
    {
        if (OperatingSystem.IsWindows()) return;
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        // Left by a process that was killed.
        await File.WriteAllTextAsync(SocketPath, "", Cancellation);
        await using var hub = await StartAsync(upstream, new AdminOptions { SocketPath = SocketPath });
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SocketPath));
        await AskAsync(hub);
        using var admin = OverSocket();
        var day = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() / 86400 * 86400;
        foreach (var width in (string[])["1m", "1h", "1d"])
        {
            var page = await GetAsync(admin, $"/v1/organization/usage/completions?start_time={TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() - 3}&bucket_width={width}&group_by=model&group_by=api_key_id");
            var results = page.GetProperty("data").EnumerateArray().SelectMany(bucket => bucket.GetProperty("results").EnumerateArray()).ToList();
            var result = Assert.Single(results, one => one.GetProperty("num_model_requests").GetInt64() == 1);
            Assert.Equal(("m", "team"), (result.GetProperty("model").GetString(), result.GetProperty("api_key_id").GetString()));
            Assert.True(result.GetProperty("output_tokens").GetInt64() > 0);
        }
        var empty = await GetAsync(admin, $"/v1/organization/costs?start_time={day - 30 * 86400}&end_time={day + 86400}&limit=10");
        Assert.Equal((10, true), (empty.GetProperty("data").GetArrayLength(), empty.GetProperty("has_more").GetBoolean()));
        var next = await GetAsync(admin, $"/v1/organization/costs?start_time={day - 30 * 86400}&end_time={day + 86400}&limit=180&page={empty.GetProperty("next_page").GetString()}");
        Assert.Equal(0, next.GetProperty("data").EnumerateArray().Last().GetProperty("results")[0].GetProperty("amount").GetProperty("value").GetDecimal());
        using var forgotten = await admin.DeleteAsync("/admin/subjects/alice", Cancellation);
        Assert.Contains("\"rows\":1", await forgotten.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        using var chat = await admin.PostAsync("/v1/chat/completions", new StringContent(UpstreamHub.Ask()), Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, chat.StatusCode);
    }

    [Fact]
    public async Task Costs_say_what_they_are_for_where_they_are_asked_for_by_model()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + UpstreamHub.Model("n", upstream), configure: options => options with
        {
            ApiKeys = [new ApiKey("team", "k1")],
            Ledger = new LedgerOptions { Path = Path.Combine(_folder, "ledger.db") },
            Admin = new AdminOptions { Address = new ListenAddress("127.0.0.1", 0), Keys = ["boss"] },
            Prices = PriceFile.Parse("version: 1\nmodels: {m: {input: 1000, output: 1000}, n: {input: 1, output: 1}}", "prices.yaml"),
        });
        await AskAsync(hub);
        using (var other = await hub.PostAsync(UpstreamHub.Ask("n"), Cancellation, ("Authorization", "Bearer k1"))) await UpstreamHub.EventsAsync(other);
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        using var admin = new HttpClient { BaseAddress = new Uri(hub.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Last()) };
        admin.DefaultRequestHeaders.Authorization = new("Bearer", "boss");
        var start = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() - 3;
        // As we call it, and as the API does.
        foreach (var group in (string[])["model", "line_item"])
        {
            var page = await GetAsync(admin, $"/v1/organization/costs?start_time={start}&group_by={group}");
            var costs = page.GetProperty("data").EnumerateArray().SelectMany(static bucket => bucket.GetProperty("results").EnumerateArray())
                .ToDictionary(static one => one.GetProperty("line_item").GetString()!, static one => one.GetProperty("amount").GetProperty("value").GetDecimal());
            Assert.Equal(["m", "n"], costs.Keys.Order());
            Assert.Equal((true, 1000), (costs["n"] > 0, costs["m"] / costs["n"]));
        }
        var whole = await GetAsync(admin, $"/v1/organization/costs?start_time={start}");
        Assert.Equal(JsonValueKind.Null, whole.GetProperty("data").EnumerateArray().SelectMany(static bucket => bucket.GetProperty("results").EnumerateArray()).First().GetProperty("line_item").ValueKind);
    }

    [Fact]
    public async Task An_address_takes_administrators_keys_only_and_the_public_one_shows_nothing()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream, new AdminOptions { Address = new ListenAddress("127.0.0.1", 0), Keys = ["boss"] });
        var address = hub.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Last();
        using var http = new HttpClient { BaseAddress = new Uri(address) };
        const string Path = "/v1/organization/costs?start_time=1764460800";
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(http, Path, null));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(http, Path, "k1"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(http, Path, "boss"));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(http, "/v1/organization/costs", "boss"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(hub.Http, Path, "boss"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(hub.Http, Path, "k1"));
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient http, string path, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (key is not null) request.Headers.Add("Authorization", $"Bearer {key}");
        using var response = await http.SendAsync(request, Cancellation);
        return response.StatusCode;
    }

    [Theory]
    [InlineData("admin_listen: http://0.0.0.0:7071\nadmin_keys: [a]\nledger: {}\n", "can be reached from other machines")]
    [InlineData("admin_listen: http://127.0.0.1:7071\nledger: {}\n", "needs 'admin_keys'")]
    [InlineData("admin_listen: unix:a.sock\n", "add 'ledger: {}'")]
    [InlineData("admin_keys: [a]\n", "belong to 'admin_listen'")]
    public void What_would_open_it_to_others_is_refused(string yaml, string message) => Assert.Contains(
        Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse(yaml, "sluice.yaml", _ => null)).Errors,
        error => error.Message.Contains(message, StringComparison.Ordinal));
}
