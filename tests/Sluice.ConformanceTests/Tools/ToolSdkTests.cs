using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests.Tools;

/// <summary>
/// What SDKs make of calls (F-08), behind which stands a scripted model or server that calls a tool when it is asked, and talks when it has the result. The
/// real model is asked by <see cref="Clients.ToolClientTests"/>.
/// </summary>
public sealed class ToolSdkTests
{
    private const string Question = "What's the weather in Berlin?";
    private static readonly SaidAnswer s_call = new("", ("get_weather", "{\"location\": \"Berlin\"}"));
    private static readonly SaidAnswer s_text = new("It is 18 degrees and sunny.");
    private static readonly SaidAnswer s_colour = new("", ("colour", "{\"colour\": \"red\", \"dark\": true}"));
    private static readonly SaidAnswer s_colourText = new("{\"colour\": \"red\", \"dark\": true}");

    [Theory]
    [InlineData("python")]
    [InlineData("node")]
    [InlineData("langchain")]
    public async Task F08_With_the_engine(string sdk)
    {
        await using var hub = await ToolFormats.StartAsync(ToolBackEnds.Hermes);
        hub.Scripts[Question] = ToolFormats.Script(ToolFormats.Write(ToolBackEnds.Hermes, s_call));
        hub.Scripts["18 degrees and sunny"] = ToolFormats.Script(s_text.Text);
        hub.Scripts["Choose a colour."] = ToolFormats.Script(s_colourText.Text);
        hub.Scripts["Choose a colour by the tool."] = ToolFormats.Script(ToolFormats.Write(ToolBackEnds.Hermes, s_colour));
        await RunAsync(hub, sdk);
    }

    [Theory]
    [InlineData("python", "openai")]
    [InlineData("node", "openai")]
    [InlineData("langchain", "openai")]
    [InlineData("python", "anthropic")]
    [InlineData("node", "anthropic")]
    [InlineData("langchain", "anthropic")]
    public async Task F08_With_an_upstream(string sdk, string kind)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(reply =>
        {
            var said = Obey(reply.Call.Body);
            return (kind == "openai" ? OpenAIBackEnd.Say(said) : AnthropicBackEnd.Say(said))(reply);
        });
        await using var hub = await TestHub.StartConfiguredAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: {kind}, url: \"{upstream.Url}\", api_key: sk-0123456789}}]\n");
        await RunAsync(hub, sdk);
    }

    private static Task<string> RunAsync(TestHub hub, string sdk) => sdk switch
    {
        "python" => ClientProcess.PythonAsync(hub, "tools.py", Question),
        "node" => ClientProcess.NodeAsync(hub, "tools.mjs", Question),
        _ => ClientProcess.NodeAsync(hub, "langchain.mjs", Question),
    };

    // As a good model does.
    private static SaidAnswer Obey(string body)
    {
        if (body.Contains("json_schema", StringComparison.Ordinal)) return s_colourText;
        if (body.Contains("\"colour\"", StringComparison.Ordinal)) return s_colour;
        var talks = body.Contains("\"tool_call_id\"", StringComparison.Ordinal) || body.Contains("\"tool_result\"", StringComparison.Ordinal)
            || body.Contains("\"tool_choice\":\"none\"", StringComparison.Ordinal) || body.Contains("{\"type\":\"none\"}", StringComparison.Ordinal);
        return talks ? s_text : s_call;
    }
}
