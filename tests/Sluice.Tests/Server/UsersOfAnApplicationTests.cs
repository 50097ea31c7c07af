using System.Net;
using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Serving;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server;

/// <summary>In an application that knows its users, answers belong to them.</summary>
public sealed class UsersOfAnApplicationTests
{
    private const string Key = "Idempotency-Key";

    private static void Map(WebApplication application)
    {
        application.UseAuthentication();
        application.MapSluice();
    }

    private static string IdOf(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Id").Single();

    private static string WayOf(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Attempt").Single();

    [Theory]
    [InlineData("alice", "bob")]
    [InlineData("alice@https://one.example", "alice@https://two.example")]
    [InlineData("alice", "")]
    [InlineData("", "alice")]
    public async Task An_answer_is_its_users_alone(string user, string other)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, Map);
        using var asked = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, user, UpstreamHub.Ask());
        var path = $"{EmbeddedHub.Chat}/{IdOf(asked)}";
        using var own = await hub.SendAsync(HttpMethod.Get, path, user);
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
        (HttpMethod, string)[] requests =
        [
            (HttpMethod.Get, path), (HttpMethod.Get, path + "?stream=true"), (HttpMethod.Post, path + "/cancel"), (HttpMethod.Delete, path),
        ];
        foreach (var (method, place) in requests)
        {
            using var refused = await hub.SendAsync(method, place, other);
            Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
            Assert.Equal("completion_not_found", await EmbeddedHub.CodeOfAsync(refused));
        }
    }

    [Theory]
    [InlineData(null, "sub=alice", HttpStatusCode.OK)]
    [InlineData(null, ClaimTypes.NameIdentifier + "=alice", HttpStatusCode.OK)]
    [InlineData(null, ClaimTypes.Name + "=alice", HttpStatusCode.OK)]
    [InlineData(null, "email=alice", HttpStatusCode.Forbidden)]
    [InlineData("email", "email=alice", HttpStatusCode.OK)]
    [InlineData("email", "sub=alice", HttpStatusCode.Forbidden)]
    public async Task The_owner_is_named_by_a_claim_and_a_user_without_it_is_refused(string? claim, string user, HttpStatusCode status)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, Map, embedding: new EmbeddingOptions { OwnerClaim = claim });
        using var response = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, user, UpstreamHub.Ask(), (Key, "k"));
        Assert.Equal(status, response.StatusCode);
        var bob = user.Replace("alice", "bob", StringComparison.Ordinal);
        using var other = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, bob, UpstreamHub.Ask(), (Key, "k"));
        if (status == HttpStatusCode.OK) Assert.Equal(("created", "created"), (WayOf(response), WayOf(other)));
        else Assert.Equal("unknown_user", await EmbeddedHub.CodeOfAsync(response));
    }

    [Fact]
    public async Task A_key_of_the_hub_opens_it_also_for_users_and_the_answers_are_theirs()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, Map, configure: options => options with { ApiKeys = ["k"] });
        using var closed = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "alice", UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.Unauthorized, closed.StatusCode);
        using var asked = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "alice", UpstreamHub.Ask(), ("api-key", "k"));
        (string, HttpStatusCode)[] users = [("alice", HttpStatusCode.OK), ("bob", HttpStatusCode.NotFound), ("", HttpStatusCode.NotFound)];
        foreach (var (user, status) in users)
        {
            using var found = await hub.SendAsync(HttpMethod.Get, $"{EmbeddedHub.Chat}/{IdOf(asked)}", user, null, ("api-key", "k"));
            Assert.Equal(status, found.StatusCode);
        }
    }

    [Fact]
    public async Task A_user_who_bears_what_was_a_key_does_not_get_the_answers_of_all_who_bear_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, Map);
        using var asked = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "alice", UpstreamHub.Ask(), ("api-key", "EMPTY"));
        using var found = await hub.SendAsync(HttpMethod.Get, $"{EmbeddedHub.Chat}/{IdOf(asked)}", "bob", null, ("api-key", "EMPTY"));
        Assert.Equal(HttpStatusCode.NotFound, found.StatusCode);
    }

    [Fact]
    public async Task Another_configuration_does_not_change_who_owns_answers()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, Map, embedding: new EmbeddingOptions { OwnerClaim = "email" });
        using var asked = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "email=alice", UpstreamHub.Ask());
        var configuration = hub.Services.GetRequiredService<Hub>();
        configuration.Apply(configuration.Options with { CorsOrigins = ["*"] }, configuration.Catalog);
        using var own = await hub.SendAsync(HttpMethod.Get, $"{EmbeddedHub.Chat}/{IdOf(asked)}", "email=alice");
        using var other = await hub.SendAsync(HttpMethod.Get, $"{EmbeddedHub.Chat}/{IdOf(asked)}", "email=bob");
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NotFound), (own.StatusCode, other.StatusCode));
    }

    [Fact]
    public async Task A_key_is_its_users_alone()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await EmbeddedHub.StartAsync(upstream, Map);
        using var first = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "alice", UpstreamHub.Ask(), (Key, "k"));
        using var other = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "bob", UpstreamHub.Ask(), (Key, "k"));
        using var again = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "alice", UpstreamHub.Ask(), (Key, "k"));
        Assert.Equal(("created", "created", "replayed"), (WayOf(first), WayOf(other), WayOf(again)));
        Assert.Equal(IdOf(first), IdOf(again));
        Assert.NotEqual(IdOf(first), IdOf(other));
    }
}
