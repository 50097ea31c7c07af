using Sluice.ConformanceTests.Harness;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Faults;
using Xunit;

namespace Sluice.ConformanceTests.Clients;

/// <summary>The examples of the streaming guide as they stand there, with the two variables that they read.</summary>
/// <remarks>They name no seed and no limit. Each has a hub of its own whose seeds are the same every time, so that no run is a long one.</remarks>
[Collection(DefaultModelCollection.Name)]
public sealed class SeedExampleTests : IAsyncLifetime
{
    private TestHub? _hub;

    private TestHub Hub => _hub!;

    public async ValueTask InitializeAsync() => _hub = await TestHub.StartDefaultModelAsync(new TestHubOptions { Random = new RandomSource(1) });

    public ValueTask DisposeAsync() => Hub.DisposeAsync();

    [Fact]
    public async Task Curl()
    {
        var stream = ChatStream.Parse(await ClientProcess.RunAsync(Hub, "bash", [ClientProcess.Path("seed", "stream.sh")]));
        Assert.NotEqual("", stream.Content());
        Assert.All(stream.Chunks, chunk => Assert.Equal("Llama-3.3-70B-Instruct", chunk.Text("model")));
    }

    [Fact]
    public async Task Collect()
    {
        var output = await ClientProcess.PythonAsync(Hub, "../seed/collect.py");
        Assert.Matches(@"\n\nTotal length: [1-9][0-9]* characters\n$", output);
    }

    [Fact]
    public async Task Retry()
    {
        // The guide defines a function and does not call it.
        var output = await ClientProcess.PythonCodeAsync(
            Hub, "retry.py", "text = stream_with_retry([{'role': 'user', 'content': 'What is the capital of France?'}])\nassert text\nprint(f'<{len(text)}>')");
        Assert.Matches(@"<[1-9][0-9]*>\n$", output);
        Assert.DoesNotContain("Retry", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Retry_over_connections_that_break()
    {
        // As the guide has it but for the client: three connections break in mid-stream, and the answer is printed once.
        var example = await File.ReadAllTextAsync(ClientProcess.Path("seed", "retry.py"));
        Assert.Contains("\nclient = OpenAI()\n", example, StringComparison.Ordinal);
        await using var proxy = FaultProxy.Start(Hub.Address, connection => connection < 3 ? new ConnectionPlan(ConnectionFault.Close, 1000) : new ConnectionPlan());
        var folder = Path.Combine(TestFiles.RepositoryRoot, "clients", "python");
        var output = await ClientProcess.PythonCodeAsync(Hub, null, $$"""
            import sys
            sys.path.insert(0, {{ApiClient.Quote(folder)}})
            import sluice_client
            {{example.Replace("\nclient = OpenAI()\n", $"\nclient = OpenAI(base_url='{new Uri(proxy.Address, "v1")}', http_client=sluice_client.http_client())\n", StringComparison.Ordinal)}}
            text = stream_with_retry([{"role": "user", "content": "What is the capital of France?"}])
            print(f"<{text}>")
            """);
        var printed = output[..output.IndexOf("\n<", StringComparison.Ordinal)];
        Assert.Equal($"{printed}\n<{printed}>\n", output);
        Assert.DoesNotContain("Retry", output, StringComparison.Ordinal);
        Assert.Equal(3, proxy.FaultCount);
    }

    [Fact]
    public async Task Usage()
    {
        var output = await ClientProcess.PythonAsync(Hub, "../seed/usage.py");
        Assert.Matches(@"\nTokens — prompt: [1-9][0-9]*, completion: [1-9][0-9]*, total: [1-9][0-9]*\n$", output);
    }

    [Fact]
    public async Task Tools()
    {
        var output = await ClientProcess.PythonAsync(Hub, "../seed/tools.py");
        Assert.Matches(@"^Tool: get_weather, Args: \{'location': '[^']*Berlin[^']*'\}\n$", output);
    }
}
