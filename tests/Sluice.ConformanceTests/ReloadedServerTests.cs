using Sluice.ConformanceTests.Harness;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The hub's own engine, while the configuration changes.</summary>
public sealed class ReloadedServerTests
{
    private static readonly LocalModel s_model = new("scripted", "scripted.gguf", 0, DateTimeOffset.UnixEpoch);
    private static readonly UpstreamModel s_other =
        new("other", new ModelRouteOptions([new UpstreamOptions("http://127.0.0.1:1/v1")]), DateTimeOffset.UnixEpoch);

    [Fact]
    public async Task A_model_that_stays_is_not_loaded_again_and_its_streams_go_on()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        using var client = new ApiClient(hub);
        var gate = new Gate();
        hub.Scripts["long"] = new Script().Say(" one").Wait(gate).Say(" two");
        var streaming = client.StreamAsync("long");
        await gate.Reached;
        hub.Configuration.Apply(hub.Configuration.Options, new ModelCatalog([s_model with { Aliases = ["again"] }, s_other]));
        Assert.Equal(ModelPresence.Loaded, hub.PresenceOf(s_model.Path));
        Assert.Equal(1, hub.ActiveCount);
        gate.Open();
        Assert.Equal(" one two", (await streaming).Content());
    }

    [Fact]
    public async Task A_model_that_is_removed_answers_to_the_end_and_then_goes()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        using var client = new ApiClient(hub);
        var gate = new Gate();
        hub.Scripts["long"] = new Script().Say(" one").Wait(gate).Say(" two");
        var streaming = client.StreamAsync("long");
        await gate.Reached;
        hub.Configuration.Apply(hub.Configuration.Options, new ModelCatalog([s_other]));
        Assert.Equal(ModelPresence.Loaded, hub.PresenceOf(s_model.Path));
        gate.Open();
        Assert.Equal(" one two", (await streaming).Content());
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (hub.PresenceOf(s_model.Path) != ModelPresence.Absent) await Task.Delay(2, patience.Token);
    }
}
