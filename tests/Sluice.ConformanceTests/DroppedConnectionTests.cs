using System.ClientModel;
using System.ClientModel.Primitives;
using System.Globalization;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using Sluice.Client;
using Sluice.ConformanceTests.Harness;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>
/// Official SDKs with the client of Sluice, over connections that break at random places: every answer is the one that was asked for, nothing of it is lost
/// and nothing comes twice. <c>SLUICE_CUTS</c> says how many breaks each client goes through, <c>SLUICE_SEED</c> which.
/// </summary>
public sealed class DroppedConnectionTests(ITestOutputHelper output)
{
    private static readonly int s_cuts = Read("SLUICE_CUTS", 100);
    private static readonly int s_seed = Read("SLUICE_SEED", Environment.TickCount & 0xFFFF);

    [Fact]
    public Task Python() => BreakAsync(async hubs => await ClientProcess.StartPythonAsync(hubs.Hub, "resume.py", hubs.EchoUrl, hubs.ToolsUrl, $"{s_seed}", "openai"));

    [Fact]
    public Task Httpx() => BreakAsync(async hubs => await ClientProcess.StartPythonAsync(hubs.Hub, "resume.py", hubs.EchoUrl, hubs.ToolsUrl, $"{s_seed}", "httpx"));

    [Fact]
    public Task Node() => BreakAsync(async hubs => await ClientProcess.StartNodeAsync(hubs.Hub, "resume.mjs", hubs.EchoUrl, hubs.ToolsUrl, $"{s_seed}"));

    [Fact]
    public async Task DotNet()
    {
        await using var hubs = await StartAsync();
        using var http = new HttpClient(new ResumingHandler { PauseFirst = TimeSpan.FromMilliseconds(5), Silence = TimeSpan.FromSeconds(1) }) { Timeout = Timeout.InfiniteTimeSpan };
        var (echo, tools) = (Connect("scripted", hubs.EchoUrl), Connect("m", hubs.ToolsUrl));
        var done = 0;
        await hubs.BreakAsync(s_cuts, count => Parallel.ForAsync(done, done += count, new ParallelOptions { MaxDegreeOfParallelism = 8 }, (number, _) => ConverseAsync(echo, tools, number)));
        Report(hubs);

        ChatClient Connect(string model, string url) => new(model, new ApiKeyCredential("none"), new OpenAIClientOptions
        {
            Endpoint = new Uri(url),
            Transport = new HttpClientPipelineTransport(http),
            NetworkTimeout = TimeSpan.FromSeconds(5),
            RetryPolicy = new ClientRetryPolicy(maxRetries: 5),
        });
    }

    private static int Read(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    private static async ValueTask ConverseAsync(ChatClient echo, ChatClient tools, int number)
    {
        var random = new Random(unchecked((s_seed * 1_000_003) + number));
        var (text, arguments) = ($"x{Write()}x", $$"""{"a":{{ApiClient.Quote(Write())}}}""");
        var hasTools = random.Next(10) < 4;
        var finish = hasTools ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop;
        var options = new ChatCompletionOptions();
        if (hasTools) options.Tools.Add(ChatTool.CreateFunctionTool("f"));
        ChatMessage[] messages = [new UserChatMessage(hasTools ? $"[{ApiClient.Quote(text)},{ApiClient.Quote(arguments)}]" : text)];
        var client = hasTools ? tools : echo;
        if (random.Next(10) == 0)
        {
            ChatCompletion completion = random.Next(2) == 0 ? client.CompleteChat(messages, options) : await client.CompleteChatAsync(messages, options);
            Assert.Equal((text, finish), (completion.Content[0].Text, completion.FinishReason));
            if (hasTools) Assert.Equal(arguments, Assert.Single(completion.ToolCalls).FunctionArguments.ToString());
            return;
        }

        var updates = new List<StreamingChatCompletionUpdate>();
        if (random.Next(4) == 0) updates.AddRange(client.CompleteChatStreaming(messages, options));
        else await foreach (var update in client.CompleteChatStreamingAsync(messages, options)) updates.Add(update);
        Assert.Single(updates.Select(update => update.CompletionId).Distinct());
        Assert.Equal(text, string.Concat(updates.SelectMany(update => update.ContentUpdate).Select(part => part.Text)));
        Assert.Equal(finish, Assert.Single(updates.Select(update => update.FinishReason).OfType<ChatFinishReason>()));
        Assert.Single(updates.Select(update => update.Role).OfType<ChatMessageRole>());
        Assert.Single(updates.Select(update => update.Usage).OfType<ChatTokenUsage>());
        var calls = updates.SelectMany(update => update.ToolCallUpdates).ToList();
        Assert.Equal(hasTools ? ["call_1"] : [], calls.Select(call => call.ToolCallId).Where(id => !string.IsNullOrEmpty(id)));
        Assert.Equal(hasTools ? arguments : "", string.Concat(calls.Select(call => call.FunctionArgumentsUpdate is { } piece && !piece.ToMemory().IsEmpty ? piece.ToString() : "")));

        string Write()
        {
            string[] pieces = ["one", " two", "Hello", " world", "ü", "ß", "\U0001F600", "\U0001F469‍\U0001F680", "日本語", "\"", "\\", "{}", "\n", "e\u0301", "-"];
            var written = new StringBuilder();
            for (var left = new[] { 3, 7, 15, 40 }[random.Next(4)]; left > 0; left--) written.Append(pieces[random.Next(pieces.Length)]);
            return written.ToString();
        }
    }

    private async Task<DroppingHubs> StartAsync()
    {
        output.WriteLine($"SLUICE_SEED={s_seed}");
        return await DroppingHubs.StartAsync(s_seed);
    }

    private async Task BreakAsync(Func<DroppingHubs, Task<System.Diagnostics.Process>> start)
    {
        await using var hubs = await StartAsync();
        await using var client = new BatchClient(await start(hubs));
        await hubs.BreakAsync(s_cuts, client.ConverseAsync);
        Report(hubs);
    }

    private void Report(DroppingHubs hubs) => output.WriteLine($"{hubs.FaultCount} connections broken, nothing lost, nothing doubled");
}
