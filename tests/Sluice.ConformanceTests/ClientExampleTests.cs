using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.RegularExpressions;
using OpenAI;
using OpenAI.Chat;
using Sluice.Client;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Faults;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The examples of docs/clients.md as they stand there, over connections of which the first two break.</summary>
public sealed partial class ClientExampleTests : IAsyncLifetime
{
    private const int BrokenCount = 2;
    private static readonly string[] s_pieces = [.. Enumerable.Range(1, 40).Select(number => $"{number} ü ")];
    private static readonly string s_answer = string.Concat(s_pieces);
    private ScriptedUpstream? _upstream;
    private TestHub? _hub;

    private TestHub Hub => _hub!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says(s_pieces));
        _hub = await TestHub.StartConfiguredAsync($"  - {{id: smollm2-135m-instruct, upstreams: [{{url: \"{_upstream.Url}\"}}]}}\n");
    }

    public async ValueTask DisposeAsync()
    {
        await Hub.DisposeAsync();
        await _upstream!.DisposeAsync();
    }

    [Fact]
    public async Task Python()
    {
        var folder = Path.Combine(TestFiles.RepositoryRoot, "clients", "python");
        Assert.Equal(2, Examples("python").Count);
        foreach (var example in Examples("python"))
        {
            await using var proxy = Break();
            var code = $"import os, sys\nsys.path.insert(0, {ApiClient.Quote(folder)})\nos.environ['OPENAI_BASE_URL'] = '{Url(proxy)}'\n{example}";
            Assert.Equal(s_answer, await ClientProcess.PythonCodeAsync(Hub, null, code));
            Assert.Equal(BrokenCount, proxy.FaultCount);
        }
    }

    [Fact]
    public async Task Node()
    {
        var (node, modules) = await ClientProcess.FindNodeAsync();
        await using var proxy = Break();
        var folder = Directory.CreateTempSubdirectory("sluice-example-");
        try
        {
            var packages = Directory.CreateDirectory(Path.Combine(folder.FullName, "node_modules"));
            Directory.CreateSymbolicLink(Path.Combine(packages.FullName, "openai"), Path.Combine(modules, "openai"));
            Directory.CreateSymbolicLink(Path.Combine(packages.FullName, "sluice-client"), Path.Combine(TestFiles.RepositoryRoot, "clients", "js"));
            var file = Path.Combine(folder.FullName, "example.mjs");
            await File.WriteAllTextAsync(file, $"process.env.OPENAI_BASE_URL = '{Url(proxy)}';\n{Assert.Single(Examples("js"))}");
            Assert.Equal(s_answer, await ClientProcess.RunAsync(Hub, node, [file]));
            Assert.Equal(BrokenCount, proxy.FaultCount);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task DotNet()
    {
        var source = await File.ReadAllTextAsync(Path.Combine(TestFiles.RepositoryRoot, "tests", "Sluice.ConformanceTests", "ClientExampleTests.cs"));
        await using var proxy = Break();
        var written = new StringBuilder();
        // The example is this, but for the address and where it writes to.
        var http = new HttpClient(new ResumingHandler()) { Timeout = Timeout.InfiniteTimeSpan };
        var client = new ChatClient("smollm2-135m-instruct", new ApiKeyCredential("unused"), new OpenAIClientOptions
        {
            Endpoint = new Uri(Url(proxy)),
            Transport = new HttpClientPipelineTransport(http),
        });
        await foreach (var update in client.CompleteChatStreamingAsync("List 5 EU countries"))
        {
            foreach (var part in update.ContentUpdate) written.Append(part.Text);
        }

        var example = Assert.Single(Examples("csharp")).Replace("\"http://127.0.0.1:7070/v1\"", "Url(proxy)", StringComparison.Ordinal)
            .Replace("Console.Write(", "written.Append(", StringComparison.Ordinal);
        Assert.All(example.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.Contains($"        {line}\n", source, StringComparison.Ordinal));
        Assert.Equal(s_answer, written.ToString());
        Assert.Equal(BrokenCount, proxy.FaultCount);
        http.Dispose();
    }

    private static string Url(FaultProxy proxy) => new Uri(proxy.Address, "v1").ToString();

    private static List<string> Examples(string language) =>
        [.. Example().Matches(File.ReadAllText(Path.Combine(TestFiles.RepositoryRoot, "docs", "clients.md"))).Where(match => match.Groups[1].Value == language).Select(match => match.Groups[2].Value)];

    private FaultProxy Break() => FaultProxy.Start(
        Hub.Address, connection => connection < BrokenCount ? new ConnectionPlan(ConnectionFault.Close, 1500) : new ConnectionPlan());

    [GeneratedRegex(@"^```(\w+)\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Example();
}
