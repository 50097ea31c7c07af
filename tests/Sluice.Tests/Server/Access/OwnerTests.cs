using System.Net;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Access;

/// <summary>Answers belong to ids, and stay where they were when credentials change.</summary>
public sealed class OwnerTests : IDisposable
{
    private const string Key = "Idempotency-Key";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-owners-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream, params ApiKey[] keys) => UpstreamHub.StartAsync(
        UpstreamHub.Model("m", upstream),
        configure: options => options with { ApiKeys = keys, Store = StoreKind.Sqlite, StorePath = Path.Combine(_folder, "answers.db") });

    private static async Task<(string Way, string Id)> AskAsync(UpstreamHub hub, string bearer, string? key = null)
    {
        var headers = new List<(string, string)> { ("Authorization", $"Bearer {bearer}") };
        if (key is not null) headers.Add((Key, key));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, [.. headers]);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await response.Content.ReadAsStringAsync(Cancellation);
        return (response.Headers.GetValues("Sluice-Stream-Attempt").Single(), response.Headers.GetValues("Sluice-Stream-Id").Single());
    }

    private static Task<HttpStatusCode> GetAsync(UpstreamHub hub, string bearer, string id) => SendAsync(HttpMethod.Get, hub, bearer, id);

    private static async Task<HttpStatusCode> SendAsync(HttpMethod method, UpstreamHub hub, string bearer, string id)
    {
        using var request = new HttpRequestMessage(method, $"/v1/chat/completions/{id}") { Headers = { { "api-key", bearer } } };
        using var response = await hub.Http.SendAsync(request, Cancellation);
        return response.StatusCode;
    }

    [Fact]
    public async Task A_key_that_is_given_an_id_keeps_its_answers_and_shares_them_with_the_key_that_replaces_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        string old, later;
        await using (var hub = await StartAsync(upstream, "k1", "k2")) (_, old) = await AskAsync(hub, "k1", "q");
        await using (var hub = await StartAsync(upstream, new ApiKey("red", "k1"), new ApiKey("blue", "k2")))
        {
            Assert.Equal(("replayed", old), await AskAsync(hub, "k1", "q"));
            (_, later) = await AskAsync(hub, "k1", "r");
            Assert.Equal(HttpStatusCode.OK, await GetAsync(hub, "k1", old));
            Assert.Equal(HttpStatusCode.NotFound, await GetAsync(hub, "k2", old));
        }
        await using (var hub = await StartAsync(upstream, new ApiKey("red", "k3"), new ApiKey("blue", "k1")))
        {
            // What was asked under the id is the id's, whatever became of the key; what came before ids is the key's.
            Assert.Equal(("replayed", later), await AskAsync(hub, "k3", "r"));
            Assert.Equal(HttpStatusCode.OK, await GetAsync(hub, "k3", later));
            Assert.Equal(HttpStatusCode.NotFound, await GetAsync(hub, "k1", later));
            Assert.Equal(HttpStatusCode.NotFound, await GetAsync(hub, "k3", old));
            Assert.Equal(HttpStatusCode.OK, await SendAsync(HttpMethod.Delete, hub, "k1", old));
        }
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Fact]
    public async Task A_key_of_a_request_is_cancelled_also_where_it_was_used_before_the_id()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using (var hub = await StartAsync(upstream, "k1")) await AskAsync(hub, "k1", "q");
        await using (var hub = await StartAsync(upstream, new ApiKey("red", "k1")))
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/cancel") { Headers = { { "api-key", "k1" }, { Key, "q" } } };
            using var response = await hub.Http.SendAsync(request, Cancellation);
            // 202 would say that there is nothing yet to cancel.
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Fact]
    public async Task Without_keys_everybody_is_one_owner_who_has_also_what_was_kept_by_key()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        string old;
        await using (var hub = await StartAsync(upstream, "k1")) (_, old) = await AskAsync(hub, "k1", "q");
        await using (var hub = await StartAsync(upstream))
        {
            var (way, id) = await AskAsync(hub, "k1", "r");
            Assert.Equal(("created", "replayed"), (way, (await AskAsync(hub, "another", "r")).Way));
            Assert.Equal(HttpStatusCode.OK, await SendAsync(HttpMethod.Get, hub, "another", id));
            Assert.Equal(("replayed", old), await AskAsync(hub, "k1", "q"));
            Assert.Equal(HttpStatusCode.OK, await GetAsync(hub, "k1", old));
            Assert.Equal(HttpStatusCode.NotFound, await GetAsync(hub, "another", old));
        }
    }
}
