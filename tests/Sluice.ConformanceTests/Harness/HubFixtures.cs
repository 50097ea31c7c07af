using Sluice.Testing;
using Xunit;

[assembly: CaptureConsole]

namespace Sluice.ConformanceTests.Harness;

/// <summary>A hub that the tests of one class, or of one collection, share.</summary>
public abstract class HubFixture : IAsyncLifetime
{
    private TestHub? _hub;

    public TestHub Hub => _hub!;

    public ApiClient Client { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        _hub = await StartAsync();
        Client = new ApiClient(Hub);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Hub.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected abstract Task<TestHub> StartAsync();
}

/// <summary>A hub whose model follows scripts: each test class has its own.</summary>
public sealed class ScriptedHub : HubFixture
{
    protected override Task<TestHub> StartAsync() => TestHub.StartScriptedAsync();
}

/// <summary>A hub with the real model, which is loaded once.</summary>
public sealed class DefaultModelHub : HubFixture
{
    protected override Task<TestHub> StartAsync() => TestHub.StartDefaultModelAsync();
}

/// <summary>Tests that ask the real model, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class DefaultModelCollection : ICollectionFixture<DefaultModelHub>
{
    public const string Name = "default model";
}
