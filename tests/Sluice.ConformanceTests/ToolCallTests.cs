using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Sluice.ConformanceTests.Tools;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>What <see cref="ToolCallTable"/> has no row for: calls in the engine that are none, and schemas that can't be followed.</summary>
public sealed class ToolCallTests(HermesBackEnd fixture) : IClassFixture<HermesBackEnd>
{
    private TestHub Hub => fixture.Hub;

    private ApiClient Client => fixture.Client;

    [Fact]
    public async Task E_What_is_no_call_is_text()
    {
        const string Text = "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n</tool_call>";
        Hub.Scripts["no call"] = new Script().Say(Text);
        var stream = await Client.StreamAsync("no call", "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
        Assert.Equal((Text, "stop"), (stream.Content(), stream.FinishReason()));
    }

    [Fact]
    public async Task C_A_stop_sequence_cuts_a_call_and_the_reason_says_so()
    {
        Hub.Scripts["stopped"] = new Script().Say("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"Berlin\"}}\n</tool_call>");
        const string Tool = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}}}]";
        var stream = await Client.StreamAsync("stopped", Tool + ",\"stop\":\"lin\"");
        Assert.Equal(("{\"a\": \"Ber", "stop"), (Assert.Single(stream.ToolCalls()).Arguments, stream.FinishReason()));
    }

    [Fact]
    public async Task U04_Log_probabilities_are_those_of_the_text()
    {
        Hub.Scripts["logprobs"] = new Script().Say("one two <tool" + "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>");
        var stream = await Client.StreamAsync("logprobs", "\"logprobs\":true,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
        var tokens = stream.Of(0).Select(chunk => chunk.GetProperty("logprobs")).Where(logprobs => logprobs.ValueKind == JsonValueKind.Object)
            .SelectMany(logprobs => logprobs.GetProperty("content").EnumerateArray()).Select(token => token.Text("token"));
        Assert.StartsWith(stream.Content(), string.Concat(tokens), StringComparison.Ordinal);
        Assert.Equal("one two <tool", stream.Content());
        Assert.Single(stream.ToolCalls());
    }

    [Theory]
    [InlineData("true", 400)]
    [InlineData("false", 200)]
    public async Task F_A_strict_schema_that_can_not_be_followed_is_refused(string strict, int status)
    {
        var body = Client.Chat("Hello", "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":" + strict + ",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}}}]");
        if (status == 200)
        {
            using var response = await Client.SendAsync(body);
            Assert.True(response.IsSuccessStatusCode);
            return;
        }

        var error = await Client.RefuseAsync(body);
        Assert.Equal(
            (400, "Invalid schema for function 'f': In context=('properties', 'a'), 'not' is not supported; list what is allowed instead.", "tools", "invalid_function_parameters"),
            (error.Status, error.Message, error.Param, error.Code));
    }
}

/// <summary>The same with a family whose calls begin with a token.</summary>
public sealed class MistralToolCallTests(MistralNamedBackEnd fixture) : IClassFixture<MistralNamedBackEnd>
{
    private TestHub Hub => fixture.Hub;

    private ApiClient Client => fixture.Client;

    [Fact]
    public async Task F01_A_control_token_begins_a_call()
    {
        const string Tool = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]";
        Hub.Scripts["control"] = new Script().Say("Hello.").BeginToolCalls().Say("f[ARGS]{}").BeginToolCalls().Say("f[ARGS]{}");
        var stream = await Client.StreamAsync("control", Tool);
        Assert.Equal(("Hello.", "tool_calls"), (stream.Content(), stream.FinishReason()));
        Assert.Equal(["f", "f"], stream.ToolCalls().Select(call => call.Name));
        Assert.Equal("Hello.f[ARGS]{}f[ARGS]{}", (await Client.StreamAsync("control", Tool + ",\"tool_choice\":\"none\"")).Content());
    }
}
