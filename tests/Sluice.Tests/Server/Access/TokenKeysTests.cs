using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Access;

/// <summary>Tokens of an identity provider: a real one on this machine, with tokens that its own library signs.</summary>
public sealed class TokenKeysTests : IAsyncLifetime
{
    private readonly RSA _rsa = RSA.Create(2048);
    private WebApplication? _issuer;
    private int _fetchCount;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Issuer => _issuer!.Urls.First();

    private RsaSecurityKey Key => new(_rsa) { KeyId = "k1" };

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _issuer = builder.Build();
        _issuer.Run(context =>
        {
            var key = JsonWebKeyConverter.ConvertFromRSASecurityKey(new RsaSecurityKey(_rsa.ExportParameters(false)) { KeyId = "k1" });
            if (context.Request.Path != "/jwks")
                return context.Response.WriteAsync($"{{\"issuer\":\"{Issuer}\",\"jwks_uri\":\"{Issuer}/jwks\"}}", Cancellation);
            Interlocked.Increment(ref _fetchCount);
            return context.Response.WriteAsync($"{{\"keys\":[{{\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"k1\",\"n\":\"{key.N}\",\"e\":\"{key.E}\"}}]}}", Cancellation);
        });
        await _issuer.StartAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _issuer!.DisposeAsync();
        _rsa.Dispose();
    }

    private string Token(
        string subject = "alice", string? issuer = null, string audience = "hub", TimeSpan? ends = null, TimeSpan? begins = null, SigningCredentials? signed = null, params string[] groups) =>
        new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = issuer ?? Issuer,
            Audience = audience,
            NotBefore = begins is { } from ? DateTime.UnixEpoch.Add(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch) + from : null,
            Expires = DateTime.UnixEpoch.Add(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch) + (ends ?? TimeSpan.FromMinutes(5)),
            Claims = new Dictionary<string, object> { ["sub"] = subject, ["groups"] = groups },
            SigningCredentials = signed ?? new SigningCredentials(Key, SecurityAlgorithms.RsaSha256),
        });

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream, string more = "", string? ledger = null)
    {
        var jwt = ConfigurationFile.Parse(
            $"projects: [{{id: search}}, {{id: ads}}]\njwt: {{issuer: \"{Issuer}\", audience: hub{more}}}\n", "sluice.yaml", _ => null);
        return UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with
        {
            Jwt = jwt.Jwt,
            Projects = jwt.Projects,
            Ledger = ledger is null ? null : new LedgerOptions { Path = ledger },
        });
    }

    [Fact]
    public async Task The_ledger_does_not_know_people_by_their_names()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-people-").FullName;
        try
        {
            var path = Path.Combine(folder, "ledger.db");
            await using (var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a")))
            await using (var hub = await StartAsync(upstream, ledger: path))
            {
                Assert.Equal(HttpStatusCode.OK, (await AskAsync(hub, Token("alice-canary"))).Status);
                Assert.Equal(HttpStatusCode.OK, (await AskAsync(hub, Token("alice-canary"))).Status);
                Assert.Equal(HttpStatusCode.OK, (await AskAsync(hub, Token("bob"))).Status);
                await hub.StopAsync();
            }
            foreach (var file in Directory.GetFiles(folder))
                Assert.DoesNotContain("alice-canary", Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file, Cancellation)), StringComparison.Ordinal);
            using var ledger = new LedgerFile(path);
            var sums = ledger.ReadUsage(0, long.MaxValue / 2, ["key"]);
            Assert.Equal([1L, 2L], sums.Select(static sum => sum.Requests).Order());
            Assert.All(sums, static sum => Assert.StartsWith("user_", sum.Keys[0], StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<(HttpStatusCode Status, string? Code, string Attempt)> AskAsync(UpstreamHub hub, string token, params (string, string)[] headers)
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, [("Authorization", $"Bearer {token}"), .. headers]);
        var body = await response.Content.ReadAsStringAsync(Cancellation);
        var code = response.IsSuccessStatusCode ? null : JsonDocument.Parse(body).RootElement.GetProperty("error").GetProperty("code").GetString();
        if (!response.IsSuccessStatusCode) Assert.DoesNotContain(token[..20], body, StringComparison.Ordinal);
        return (response.StatusCode, code, response.Headers.TryGetValues("Sluice-Stream-Attempt", out var attempt) ? attempt.Single() : "");
    }

    // T75
    [Fact]
    public async Task Only_a_live_token_of_the_issuer_for_this_hub_opens_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(hub, Token())).Status);
        var publicKey = new SymmetricSecurityKey(Encoding.ASCII.GetBytes(_rsa.ExportSubjectPublicKeyInfoPem())) { KeyId = "k1" };
        using var other = RSA.Create(2048);
        var parts = Token().Split('.');
        var none = Convert.ToBase64String("{\"alg\":\"none\",\"typ\":\"JWT\"}"u8.ToArray()).TrimEnd('=');
        (string Token, string Code)[] wrong =
        [
            ($"{none}.{parts[1]}.", "invalid_token"),
            (Token(signed: new SigningCredentials(publicKey, SecurityAlgorithms.HmacSha256)), "invalid_token"),
            (Token(signed: new SigningCredentials(new RsaSecurityKey(other) { KeyId = "k1" }, SecurityAlgorithms.RsaSha256)), "invalid_token"),
            (Token(audience: "other"), "invalid_token"),
            (Token(issuer: "https://example.com"), "invalid_token"),
            (Token(ends: TimeSpan.FromMinutes(-2)), "token_expired"),
            (Token(begins: TimeSpan.FromMinutes(2)), "token_expired"),
            ($"{parts[0]}.{parts[1]}x.{parts[2]}", "invalid_token"),
        ];
        foreach (var (token, code) in wrong) Assert.Equal((HttpStatusCode.Unauthorized, code), ((await AskAsync(hub, token)).Status, (await AskAsync(hub, token)).Code));
        Assert.Equal(HttpStatusCode.Unauthorized, (await hub.Http.GetAsync("/v1/models", Cancellation)).StatusCode);
        // Clocks may be a minute apart.
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(hub, Token(ends: TimeSpan.FromSeconds(-20)))).Status);
    }

    [Fact]
    public async Task Unknown_keys_are_not_fetched_for_one_by_one()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(hub, Token())).Status);
        using var other = RSA.Create(2048);
        for (var i = 0; i < 200; i++)
        {
            var token = Token(signed: new SigningCredentials(new RsaSecurityKey(other) { KeyId = $"unknown-{i}" }, SecurityAlgorithms.RsaSha256));
            Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(hub, token)).Status);
        }
        Assert.InRange(Volatile.Read(ref _fetchCount), 1, 2);
    }

    // T76
    [Fact]
    public async Task A_fresh_token_of_the_same_person_finds_the_answers_of_the_one_before()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        Assert.Equal("created", (await AskAsync(hub, Token(), ("Idempotency-Key", "i"))).Attempt);
        Assert.Equal("replayed", (await AskAsync(hub, Token(ends: TimeSpan.FromMinutes(7)), ("Idempotency-Key", "i"))).Attempt);
        Assert.Equal("created", (await AskAsync(hub, Token("bob"), ("Idempotency-Key", "i"))).Attempt);
    }

    // T98
    [Fact]
    public async Task Groups_stand_for_projects_and_whoever_is_in_none_is_refused()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream, ", project_claim: groups, map: {grp-search: search, grp-ads: ads}");
        Assert.Equal((HttpStatusCode.Forbidden, "project_unknown"), ((await AskAsync(hub, Token(groups: ["grp-x"]))).Status, (await AskAsync(hub, Token(groups: ["grp-x"]))).Code));
        var token = Token(groups: ["grp-x", "grp-ads", "grp-search"]);
        Assert.Equal("ads", await ProjectAsync());
        Assert.Equal("search", await ProjectAsync(("Sluice-Project", "search")));
        Assert.Equal(HttpStatusCode.Forbidden, (await AskAsync(hub, token, ("Sluice-Project", "other"))).Status);

        async Task<string?> ProjectAsync(params (string Name, string Value)[] headers)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/key");
            request.Headers.Add("Authorization", $"Bearer {token}");
            foreach (var (name, value) in headers) request.Headers.Add(name, value);
            using var response = await hub.Http.SendAsync(request, Cancellation);
            return JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation)).RootElement.GetProperty("project").GetString();
        }
    }

    [Theory]
    [InlineData("{issuer: https://id.example.com}", "'jwt' has no 'audience'")]
    [InlineData("{issuer: http://id.example.com, audience: a}", "'http://id.example.com' is not a valid issuer; expected an https address")]
    [InlineData("{issuer: https://id.example.com, audience: a, map: {a: b}}", "there is no project 'b'")]
    public void A_configuration_that_would_open_the_hub_is_refused(string yaml, string message) => Assert.Contains(
        Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse($"jwt: {yaml}\n", "sluice.yaml", _ => null)).Errors,
        error => error.Message.Contains(message, StringComparison.Ordinal));
}
