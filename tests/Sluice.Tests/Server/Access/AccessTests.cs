using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Access;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Xunit;

namespace Sluice.Tests.Server.Access;

public sealed class AccessTests
{
    private static DefaultHttpContext Request(string host = "127.0.0.1:7070", params (string Name, string Value)[] headers)
    {
        var context = new DefaultHttpContext();
        context.Request.Scheme = "http";
        context.Request.Host = new HostString(host);
        foreach (var (name, value) in headers) context.Request.Headers[name] = value;
        return context;
    }

    private static ApiKeys Keys(params ApiKey[] keys)
    {
        var limiter = new Limiter(TimeProvider.System, new RandomSource(1));
        return new ApiKeys(new SluiceOptions { ApiKeys = keys }, new KeyRing(limiter), limiter);
    }

    [Theory]
    [InlineData("Bearer sk-one-0123456789", null)]
    [InlineData("bearer sk-two-0123456789", null)]
    [InlineData("  BEARER    sk-two-0123456789  ", null)]
    [InlineData("Bearer sk-one-012345678", "invalid_api_key")]
    [InlineData("Bearer SK-ONE-0123456789", "invalid_api_key")]
    [InlineData("Bearer ", "")]
    [InlineData("Bearersk-one-0123456789", "")]
    [InlineData("Basic sk-one-0123456789", "")]
    [InlineData("", "")]
    public void ApiKeys_LetOnlyTheConfiguredOnesPass(string authorization, string? code)
    {
        var keys = Keys("sk-one-0123456789", "sk-two-0123456789");
        var (_, error) = keys.Identify(Request(headers: ("Authorization", authorization)).Request, DateTimeOffset.UnixEpoch);
        if (code is null)
        {
            Assert.Null(error);
            return;
        }
        Assert.Equal(401, error!.Status);
        Assert.Equal(code, error.Code ?? "");
        Assert.DoesNotContain("0123456", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ApiKeys_AzuresHeaderCountsToo() =>
        Assert.Null(Keys("k").Identify(Request(headers: ("api-key", "k")).Request, DateTimeOffset.UnixEpoch).Error);

    [Fact]
    public void ApiKeys_None_LetsEveryKeyPass()
    {
        Assert.Null(Keys().Identify(Request().Request, DateTimeOffset.UnixEpoch).Error);
        Assert.Null(Keys().Identify(Request(headers: ("Authorization", "Bearer EMPTY")).Request, DateTimeOffset.UnixEpoch).Error);
    }

    [Fact]
    public void Callers_are_those_of_the_keys_ids_and_a_key_without_one_is_its_own()
    {
        var keys = Keys(new ApiKey("red", "k1"), "k2", new ApiKey("red", "k3"), new ApiKey("blue", "k4"));
        string[] bearers = ["k1", "k2", "k3", "k4"];
        var ids = bearers.Select(key => keys.Identify(Request(headers: ("api-key", key)).Request, DateTimeOffset.UnixEpoch).Caller!.Ids).ToList();
        Assert.Equal(["red", HashOf("k1"), HashOf("k3")], ids[0]);
        Assert.Equal([HashOf("k2")], ids[1]);
        Assert.Equal(ids[0], ids[2]);
        Assert.Equal(["blue", HashOf("k4")], ids[3]);
    }

    [Fact]
    public void Keys_of_commands_that_are_gone_do_not_open_the_hub()
    {
        var limiter = new Limiter(TimeProvider.System, new RandomSource(1));
        var ring = new KeyRing(limiter);
        var keys = new ApiKeys(new SluiceOptions(), ring, limiter);
        Assert.Null(keys.Identify(Request().Request, DateTimeOffset.UnixEpoch).Error);
        ring.Load([new KeyRow("key_1", "ci") { Hash = [1], LastFour = "abcd", Created = 1 }], []);
        Assert.Equal(401, keys.Identify(Request().Request, DateTimeOffset.UnixEpoch).Error!.Status);
        ring.Load([], []);
        Assert.Equal(401, keys.Identify(Request().Request, DateTimeOffset.UnixEpoch).Error!.Status);
    }

    [Fact]
    public void A_user_of_an_application_who_bears_a_key_has_its_limits_and_answers_of_their_own()
    {
        var limiter = new Limiter(TimeProvider.System, new RandomSource(1));
        var key = new KeyOptions("ci", "k") { Models = ["small"], Limits = new LimitOptions { RequestsPerMinute = 1 } };
        var keys = new ApiKeys(new SluiceOptions { Keys = [key] }, new KeyRing(limiter), limiter);
        var bearer = keys.Identify(Request(headers: ("api-key", "k")).Request, DateTimeOffset.UnixEpoch).Caller!;
        var user = keys.CreateUser("user:1:i:alice", bearer);
        Assert.Equal("user:1:i:alice", user.Id);
        Assert.Equal("ci", user.Account!.Key);
        Assert.False(user.Account.MayUse("large"));
        Assert.Single(user.Account.Scopes);
    }

    [Fact]
    public void Without_keys_everybody_is_one_caller_who_still_has_what_was_kept_by_key()
    {
        Assert.Equal([""], Keys().Identify(Request().Request, DateTimeOffset.UnixEpoch).Caller!.Ids);
        Assert.Equal(["", HashOf("k")], Keys().Identify(Request(headers: ("api-key", "k")).Request, DateTimeOffset.UnixEpoch).Caller!.Ids);
    }

    [Theory]
    [InlineData("user:5:local:alice")]
    [InlineData("")]
    [InlineData("6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090")]
    public void An_id_of_a_key_is_never_that_of_somebody_else(string id) => Assert.Throws<ArgumentException>(() => new ApiKey(id, "k"));

    private static string HashOf(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));

    [Theory]
    [InlineData("http://127.0.0.1:1", false, false, true)]
    [InlineData("http://localhost:1", false, false, true)]
    [InlineData("http://[::1]:1", false, false, true)]
    [InlineData("http://0.0.0.0:1", false, false, false)]
    [InlineData("http://*:1", false, false, false)]
    [InlineData("http://10.0.0.5:1", false, false, false)]
    [InlineData("http://0.0.0.0:1", true, false, true)]
    [InlineData("http://0.0.0.0:1", false, true, true)]
    public void Exposure_WithoutKeys_IsForThisMachineOnly(string address, bool hasKeys, bool isInsecure, bool isFine)
    {
        Assert.True(ListenAddress.TryParse(address, out var listen, out _));
        Assert.Equal(isFine, OpenHubCheck.FindProblem([ListenAddress.Default, listen], hasKeys, isInsecure) is null);
    }

    [Theory]
    [InlineData("http://127.0.0.1:7070", "127.0.0.1:7070", true)]
    [InlineData("http://127.0.0.1:7070", "localhost", true)]
    [InlineData("http://127.0.0.1:7070", "LOCALHOST:99", true)]
    [InlineData("http://127.0.0.1:7070", "app.localhost:7070", true)]
    [InlineData("http://127.0.0.1:7070", "[::1]:7070", true)]
    [InlineData("http://127.0.0.1:7070", "evil.example.com:7070", false)]
    [InlineData("http://127.0.0.1:7070", "localhost.evil.example.com", false)]
    [InlineData("http://127.0.0.1:7070", "127.0.0.1.evil.example.com", false)]
    [InlineData("http://127.0.0.1:7070", "10.0.0.5:7070", false)]
    [InlineData("http://127.0.0.1:7070", "", false)]
    [InlineData("http://10.0.0.5:7070", "10.0.0.5:7070", true)]
    [InlineData("http://0.0.0.0:7070", "10.0.0.5:7070", true)]
    [InlineData("http://0.0.0.0:7070", "evil.example.com", false)]
    [InlineData("http://0.0.0.0:7070", "hub.example.com:80", true)]
    [InlineData("http://0.0.0.0:7070", "hub.example.com.", true)]
    public void HostPolicy_RefusesNamesThatAreNotTheHubs(string listen, string host, bool isFine)
    {
        Assert.True(ListenAddress.TryParse(listen, out var address, out _));
        var policy = new HostPolicy(new SluiceOptions { Listen = [address], AllowedHosts = ["hub.example.com"] });
        Assert.Equal(isFine, policy.Check(Request(host).Request) is null);
    }

    [Theory]
    [InlineData("vscode-webview://0f3c1d2e", "localhost:7070", "127.0.0.1", true)]
    [InlineData("app://obsidian.md", "127.0.0.1:7070", "127.0.0.1", true)]
    [InlineData("app://-", "[::1]:7070", "::1", true)]
    [InlineData("vscode-webview://0f3c1d2e", "hub.example.com:7070", "127.0.0.1", false)]
    [InlineData("vscode-webview://0f3c1d2e", "localhost:7070", "10.0.0.7", false)]
    [InlineData("app://obsidian.md", "evil.example.com:7070", "127.0.0.1", false)]
    [InlineData("https://app.example.com", "localhost:7070", "127.0.0.1", false)]
    [InlineData("apps://obsidian.md", "localhost:7070", "127.0.0.1", false)]
    public void CrossOrigin_IsForProgramsOfThisMachine_OnLoopbackOnly(string origin, string host, string peer, bool isFine)
    {
        var context = Request(host, ("Origin", origin));
        context.Connection.RemoteIpAddress = System.Net.IPAddress.Parse(peer);
        Assert.Equal(isFine, new CrossOrigin(new SluiceOptions()).Apply(context));
        Assert.Equal(isFine ? origin : "", context.Response.Headers.AccessControlAllowOrigin.ToString());
    }

    [Theory]
    [InlineData("http://localhost:3000", true)]
    [InlineData("http://127.0.0.1:5173", true)]
    [InlineData("https://chat.example.com", true)]
    [InlineData("https://hub.example.com:7070", false)]
    [InlineData("http://hub.example.com:7070", true)]
    [InlineData("https://evil.example.com", false)]
    [InlineData("null", false)]
    public void CrossOrigin_IsForThisMachine_TheHubsOwnPages_AndThoseConfigured(string origin, bool isFine)
    {
        var context = Request("hub.example.com:7070", ("Origin", origin));
        Assert.Equal(isFine, new CrossOrigin(new SluiceOptions { CorsOrigins = ["https://chat.example.com"] }).Apply(context));
        Assert.Equal(isFine ? origin : "", context.Response.Headers.AccessControlAllowOrigin.ToString());
        Assert.Equal(isFine, context.Response.Headers.AccessControlExposeHeaders.ToString().Contains("x-request-id", StringComparison.Ordinal));
        Assert.Equal("Origin", context.Response.Headers.Vary.ToString());
    }
}
