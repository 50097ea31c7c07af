using System.Text;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>A model that is silent for long, on a clock that the test moves (T-10).</summary>
public sealed class HeartbeatTests : IAsyncDisposable
{
    private readonly ManualTimeProvider _clock = new();
    private TestHub? _hub;

    [Fact]
    public async Task T10_Only_comments_fill_the_silence()
    {
        _hub = await TestHub.StartScriptedAsync(new TestHubOptions { Time = _clock });
        var gate = new Gate();
        _hub.Scripts["silent"] = new Script().Wait(gate).Say("Hello world");
        using var client = new ApiClient(_hub);
        using var connection = await RawConnection.OpenAsync(_hub.Address);
        await connection.PostAsync(client.Chat("silent", "\"stream\":true"));
        await gate.Reached;
        while (_clock.PendingTimerCount == 0) await Task.Yield();

        // Nothing for 10 s, the time for which headers are held; then headers and comments.
        _clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
        for (var beat = 0; beat < 3; beat++)
        {
            var chunk = connection.ReadChunkAsync();
            while (!chunk.IsCompleted)
            {
                _clock.Advance(TimeSpan.FromSeconds(1));
                await Task.Delay(1);
            }

            Assert.Equal(": keep-alive\n\n", Encoding.UTF8.GetString(await chunk));
        }

        gate.Open();
        Assert.Equal("Hello world", ChatStream.Parse(await connection.ReadBodyAsync()).Content());
    }

    [Fact]
    public async Task T10_Headers_are_held_while_a_failure_could_still_be_a_status()
    {
        _hub = await TestHub.StartScriptedAsync(new TestHubOptions { Time = _clock });
        var gate = new Gate();
        _hub.Scripts["fails"] = new Script().Wait(gate).Throw();
        using var client = new ApiClient(_hub);
        var answer = client.SendAsync(client.Chat("fails", "\"stream\":true"));
        await gate.Reached;
        while (_clock.PendingTimerCount == 0) await Task.Yield();
        _clock.Advance(TimeSpan.FromSeconds(9));
        Assert.False(answer.IsCompleted);

        gate.Open();
        using var response = await answer;
        Assert.Equal(500, (await ReceivedError.ReadAsync(response)).Status);
    }

    public async ValueTask DisposeAsync()
    {
        if (_hub is not null) await _hub.DisposeAsync();
    }
}
