using System.Text;
using Sluice.ConformanceTests.Harness;
using Sluice.Inference.Scheduling;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Streams that fail, clients that leave, and a hub that is full (R).</summary>
public sealed class FailureTests(ScriptedHub fixture) : IClassFixture<ScriptedHub>
{
    private ApiClient Client => fixture.Client;

    [Fact]
    public async Task R01_R03_A_failure_in_mid_stream_is_an_event_and_an_aborted_body()
    {
        fixture.Hub.Scripts["R01"] = new Script().Say(" one two three").Throw();
        using var connection = await RawConnection.OpenAsync(fixture.Hub.Address);
        await connection.PostAsync(Client.Chat("R01", "\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
        var body = new StringBuilder();
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await connection.ReadChunkAsync() is { Length: > 0 } chunk) body.Append(Encoding.UTF8.GetString(chunk));
        });

        var events = ChatStream.Events(body.ToString()).ToList();
        Assert.StartsWith("{\"error\":{\"message\":", events[^1], StringComparison.Ordinal);
        Assert.Equal("server_error", ReceivedError.Read(200, events[^1]).Type);
        // The role and three words; none of them ends anything.
        var chunks = events.SkipLast(1).Select(Json.Parse).ToList();
        Assert.Equal(4, chunks.Count);
        Assert.All(chunks, chunk => Assert.True(ChatStream.Choice(chunk).IsNull("finish_reason")));
        Assert.All(chunks, chunk => Assert.True(chunk.IsNull("usage")));
    }

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public async Task R_A_failure_before_the_first_token_is_a_status(string stream)
    {
        fixture.Hub.Scripts["R early"] = new Script().Throw();
        using var response = await Client.SendAsync(Client.Chat("R early", $"\"stream\":{stream}"));
        var error = await ReceivedError.ReadAsync(response);
        Assert.Equal((500, "server_error"), (error.Status, error.Type));
    }

    [Fact]
    public async Task R_A_failure_of_a_folded_answer_is_a_status()
    {
        fixture.Hub.Scripts["R folded"] = new Script().Say(" one").Throw();
        using var response = await Client.SendAsync(Client.Chat("R folded"));
        Assert.Equal(500, (await ReceivedError.ReadAsync(response)).Status);
    }

    [Fact]
    public async Task R_One_failure_does_not_touch_the_next_request()
    {
        fixture.Hub.Scripts["R next"] = new Script().Say(" one").Throw();
        using (await Client.SendAsync(Client.Chat("R next", "\"stream\":true")))
        {
        }

        await fixture.Hub.WhenIdleAsync();
        Assert.Equal("Hello", (await Client.StreamAsync("Hello")).Content());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task R09_A_client_that_breaks_out_frees_its_slots(int choices)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        using var client = new ApiClient(hub);
        var gate = new Gate();
        hub.Scripts["R09"] = new Script().Say(" one").Wait(gate).Say(" two").Forever();
        using (var response = await client.SendAsync(client.Chat("R09", $"\"stream\":true,\"n\":{choices}")))
        {
            await using var body = await response.Content.ReadAsStreamAsync();
            await body.ReadExactlyAsync(new byte[200]);
            await gate.Reached;
            Assert.Equal(choices, hub.ActiveCount);
        }

        // The gate stays closed: the step in which the model is must be left.
        await hub.WhenIdleAsync();
        var computed = hub.ComputedTokenCount;
        Assert.Equal("x", (await client.StreamAsync("x")).Content());
        // Behind <|im_start|>user\n, which the other prompt began with, x<|im_end|>\n<|im_start|>assistant\n and "x": nothing else was computed in between.
        Assert.Equal(computed + 14 + 1, hub.ComputedTokenCount);
        Assert.Empty(hub.Complaints);
    }

    [Fact]
    public async Task R09_A_client_that_leaves_the_queue_leaves_it()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Engine = new EngineOptions { SlotCount = 1 } });
        using var client = new ApiClient(hub);
        var gate = new Gate();
        hub.Scripts["first"] = new Script().Say(" one").Wait(gate).Say(" two");
        var first = client.StreamAsync("first");
        await gate.Reached;
        using var leaving = new CancellationTokenSource();
        var second = client.Http.SendAsync(ApiClient.Post(client.Chat("second", "\"stream\":true")), leaving.Token);
        while (hub.QueuedCount == 0) await Task.Yield();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        gate.Open();
        Assert.Equal(" one two", (await first).Content());
        await hub.WhenIdleAsync();
    }

    [Fact]
    public async Task R_A_full_queue_is_429_with_the_time_to_come_again()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Engine = new EngineOptions { SlotCount = 1, QueueCapacity = 1 } });
        using var client = new ApiClient(hub);
        var gate = new Gate();
        hub.Scripts["busy"] = new Script().Wait(gate).Say(" one");
        var first = client.StreamAsync("busy");
        await gate.Reached;
        var second = client.StreamAsync("second");
        while (hub.QueuedCount == 0) await Task.Yield();

        using var response = await client.SendAsync(client.Chat("third", "\"stream\":true"));
        var error = await ReceivedError.ReadAsync(response);
        Assert.Equal((429, "rate_limit_exceeded"), (error.Status, error.Code));
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        gate.Open();
        Assert.Equal((" one", "second"), ((await first).Content(), (await second).Content()));
    }

    [Fact]
    public async Task R13_A_hub_that_stops_ends_its_streams_with_an_error()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        using var client = new ApiClient(hub);
        var gate = new Gate();
        hub.Scripts["R13"] = new Script().Say(" one").Wait(gate).Say(" two");
        using var response = await client.SendAsync(client.Chat("R13", "\"stream\":true"));
        await gate.Reached;
        var stopping = hub.StopAsync();
        var body = new MemoryStream();
        await using var stream = await response.Content.ReadAsStreamAsync();
        await Assert.ThrowsAnyAsync<IOException>(() => stream.CopyToAsync(body));
        var events = ChatStream.Events(Encoding.UTF8.GetString(body.ToArray())).ToList();
        ReceivedError.Read(200, events[^1]);
        await stopping;
    }
}
