using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Tool calls of a scripted model in the format of its template's family (F).</summary>
public abstract class ToolCallTests(ToolHub fixture)
{
    private const string Tools = "\"tools\":[" + Weather + "," + Add + "," + Ping + "]";
    private const string Weather = """
        {"type":"function","function":{"name":"get_weather","description":"Weather","parameters":{"type":"object","properties":{"location":{"type":"string"}},"required":["location"]}}}
        """;
    private const string Add = """
        {"type":"function","function":{"name":"add","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}}}
        """;
    private const string Ping = """{"type":"function","function":{"name":"ping"}}""";
    private const string Berlin = "{\"location\": \"Berlin 🌧\"}";

    protected TestHub Hub => fixture.Hub;

    protected ApiClient Client => fixture.Client;

    /// <summary>How the family writes calls.</summary>
    protected abstract string Write(params (string Name, string Arguments)[] calls);

    /// <summary>Whether text may stand before a call.</summary>
    protected virtual bool HasText => true;

    /// <summary>Whether an answer may have several calls without being asked to.</summary>
    protected virtual bool HasSeveral => true;

    [Fact]
    public async Task F01_F04_One_call_streams_in_fragments()
    {
        Say(Write(("get_weather", Berlin)));
        var stream = await Client.StreamAsync("call", Tools);
        var call = Assert.Single(stream.ToolCalls());
        Assert.Equal(("get_weather", Berlin), (call.Name, call.Arguments));
        Assert.True(call.FragmentCount > 1, stream.Body);
        Assert.Equal(("tool_calls", ""), (stream.FinishReason(), stream.Content()));
        Assert.True(ChatStream.Delta(stream.Chunks[0]).IsNull("content"));
    }

    [Fact]
    public async Task F03_N03_The_whole_reply_has_the_same_call()
    {
        Say(Write(("get_weather", Berlin)));
        var completion = await Client.CompleteAsync("call", Tools);
        var message = completion.GetProperty("choices")[0].GetProperty("message");
        var call = Assert.Single(completion.ToolCalls());
        Assert.Equal(("get_weather", Berlin), (call.Name, call.Arguments));
        Assert.True(message.IsNull("content"));
        Assert.Equal("tool_calls", completion.GetProperty("choices")[0].Text("finish_reason"));
    }

    [Fact]
    public async Task F05_Two_calls_stand_apart()
    {
        if (!HasSeveral) return;
        Say(Write(("add", "{\"a\": 1, \"b\": 2}"), ("get_weather", Berlin)));
        var stream = await Client.StreamAsync("call", Tools);
        Assert.Equal(
            [("add", "{\"a\": 1, \"b\": 2}"), ("get_weather", Berlin)], stream.ToolCalls().Select(call => (call.Name, call.Arguments)));
        Assert.Equal(2, (await Client.CompleteAsync("call", Tools)).ToolCalls().Count);
    }

    [Fact]
    public async Task F06_A_call_without_arguments_has_an_empty_object()
    {
        Say(Write(("ping", "{}")));
        Assert.Equal("{}", Assert.Single((await Client.StreamAsync("call", Tools)).ToolCalls()).Arguments);
        Assert.Equal("{}", Assert.Single((await Client.CompleteAsync("call", Tools)).ToolCalls()).Arguments);
    }

    [Fact]
    public async Task F07_Text_comes_before_the_call()
    {
        if (!HasText) return;
        Say("Let me see.\n\n" + Write(("ping", "{}")));
        var stream = await Client.StreamAsync("call", Tools);
        Assert.Equal(("Let me see.", "tool_calls"), (stream.Content(), stream.FinishReason()));
        Assert.Single(stream.ToolCalls());
        Assert.Equal("", ChatStream.Delta(stream.Chunks[0]).Text("content"));
        var completion = await Client.CompleteAsync("call", Tools);
        Assert.Equal("Let me see.", completion.GetProperty("choices")[0].GetProperty("message").Text("content"));
    }

    [Fact]
    public async Task F07_An_answer_of_text_has_no_calls()
    {
        Say("Hello < world [ \n");
        var stream = await Client.StreamAsync("call", Tools);
        Assert.Equal(("Hello < world [ \n", "stop"), (stream.Content(), stream.FinishReason()));
        Assert.Empty(stream.ToolCalls());
    }

    [Fact]
    public async Task F10_None_calls_nothing()
    {
        var text = Write(("get_weather", Berlin));
        Say(text);
        var stream = await Client.StreamAsync("call", Tools + ",\"tool_choice\":\"none\"");
        Assert.Equal((text, "stop"), (stream.Content(), stream.FinishReason()));
    }

    [Fact]
    public async Task F10_Required_calls_even_where_the_model_would_talk()
    {
        Say("Hello world");
        foreach (var call in new[]
        {
            (await Client.StreamAsync("call", Tools + ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"max_tokens\":400")).ToolCalls(),
            (await Client.CompleteAsync("call", Tools + ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"max_tokens\":400")).ToolCalls(),
        })
        {
            Assert.Contains(Assert.Single(call).Name, (string[])["get_weather", "add", "ping"]);
            Assert.Equal(JsonValueKind.Object, Json.Parse(call[0].Arguments).ValueKind);
        }
    }

    [Fact]
    public async Task F10_A_named_tool_is_called_with_arguments_of_its_schema()
    {
        Say("Hello world");
        var stream = await Client.StreamAsync("call", Tools + ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"ping\"}}");
        var call = Assert.Single(stream.ToolCalls());
        Assert.Equal("ping", call.Name);
        Assert.Empty(Json.Parse(call.Arguments).Names());
        Assert.Equal(("tool_calls", ""), (stream.FinishReason(), stream.Content()));
    }

    [Fact]
    public async Task F11_Without_parallel_calls_the_answer_ends_after_the_first()
    {
        Say(Write(("ping", "{}"), ("get_weather", Berlin)));
        var stream = await Client.StreamAsync("call", Tools + ",\"parallel_tool_calls\":false");
        Assert.Equal("ping", Assert.Single(stream.ToolCalls()).Name);
        Assert.Equal("tool_calls", stream.FinishReason());
    }

    [Fact]
    public async Task F15_The_token_limit_cuts_the_arguments()
    {
        // A token is a byte.
        var text = Write(("get_weather", Berlin));
        Say(text);
        var stream = await Client.StreamAsync("call", Tools + $",\"max_tokens\":{text.IndexOf("lin", StringComparison.Ordinal)}");
        Assert.Equal(("length", ""), (stream.FinishReason(), stream.Content()));
        Assert.Equal("{\"location\": \"Ber", Assert.Single(stream.ToolCalls()).Arguments);
    }

    [Fact]
    public async Task F03_Arguments_fit_the_schema_whatever_the_model_would_write()
    {
        Say(Write(("add", "{\"a\": \"one\", \"zzz\": [1]}")));
        var call = Assert.Single((await Client.StreamAsync("call", Tools + ",\"max_tokens\":400,\"parallel_tool_calls\":false")).ToolCalls());
        var arguments = Json.Parse(call.Arguments);
        Assert.Equal(["a", "b"], arguments.Names());
        Assert.All(arguments.EnumerateObject(), member => Assert.Equal(JsonValueKind.Number, member.Value.ValueKind));
    }

    [Fact]
    public async Task U01_Every_choice_has_its_own_calls()
    {
        Say(Write(("ping", "{}")));
        var stream = await Client.StreamAsync("call", Tools + ",\"n\":2");
        Assert.Equal(
            2, Enumerable.Range(0, 2).Select(choice => Assert.Single(stream.ToolCalls(choice))).Select(call => call.Id).Distinct().Count());
    }

    [Theory]
    [InlineData("null")]
    [InlineData("\"\"")]
    [InlineData(null)]
    public async Task F12_F13_F17_Results_are_taken(string? content)
    {
        var given = content is null ? "" : $"\"content\":{content},";
        var body = $$"""
            {"model":{{ApiClient.Quote(Hub.Model)}},{{Tools}},"messages":[{"role":"user","content":"What is it?"},
             {"role":"assistant",{{given}}"refusal":null,"annotations":[],"audio":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"ping","arguments":"{}"} } ]},
             {"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"pong"}]}]}
            """;
        using var response = await Client.SendAsync(body);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    private void Say(string text) => Hub.Scripts["call"] = new Script().Say(text);
}

/// <summary>A hub whose scripted model has a template of some family.</summary>
public abstract class ToolHub(string? opener) : HubFixture
{
    // ChatML with the family's mark, by which it is known.
    protected override Task<TestHub> StartAsync() => TestHub.StartScriptedAsync(new TestHubOptions
    {
        ChatTemplate = opener is null ? null : "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}{% for message in messages %}"
            + "<|im_start|>{{ message.role }}\n{{ message.content }}{% if message.tool_calls %}" + opener + "{{ message.tool_calls | tojson }}{% endif %}<|im_end|>\n"
            + "{% endfor %}<|im_start|>assistant{{ '\n' }}",
    });
}

public sealed class HermesHub() : ToolHub("<tool_call>");

public sealed class LlamaHub() : ToolHub("<|python_tag|>");

public sealed class MistralListHub() : ToolHub("[TOOL_CALLS]");

public sealed class MistralNamedHub() : ToolHub("[TOOL_CALLS][ARGS]");

public sealed class GraniteHub() : ToolHub("<|tool_call|>");

public sealed class GenericHub() : ToolHub(null);

public sealed class HermesToolCallTests(HermesHub fixture) : ToolCallTests(fixture), IClassFixture<HermesHub>
{
    protected override string Write(params (string Name, string Arguments)[] calls) =>
        string.Join("\n", calls.Select(call => $"<tool_call>\n{{\"name\": \"{call.Name}\", \"arguments\": {call.Arguments}}}\n</tool_call>"));

    [Fact]
    public async Task E_What_is_no_call_is_text()
    {
        const string Text = "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n</tool_call>";
        Hub.Scripts["no call"] = new Script().Say(Text);
        var stream = await Client.StreamAsync("no call", "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
        Assert.Equal((Text, "stop"), (stream.Content(), stream.FinishReason()));
    }

    [Fact]
    public async Task F16_Functions_are_called_in_the_older_form()
    {
        Hub.Scripts["function"] = new Script().Say(Write(("f", "{\"a\": 1}")));
        const string Functions = "\"functions\":[{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}}]";
        var stream = await Client.StreamAsync("function", Functions);
        var deltas = stream.Of(0).Select(chunk => chunk.GetProperty("delta")).Where(delta => delta.Has("function_call")).Select(delta => delta.GetProperty("function_call")).ToArray();
        Assert.Equal(["name", "arguments"], deltas[0].Names());
        Assert.All(deltas[1..], delta => Assert.Equal(["arguments"], delta.Names()));
        Assert.Equal("{\"a\": 1}", string.Concat(deltas.Select(delta => delta.Text("arguments"))));
        Assert.Equal("function_call", stream.FinishReason());
        var message = (await Client.CompleteAsync("function", Functions + ",\"function_call\":{\"name\":\"f\"}")).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal("f", message.GetProperty("function_call").Text("name"));
        Assert.False(message.Has("tool_calls"));
    }

    [Fact]
    public async Task U04_Log_probabilities_are_those_of_the_text()
    {
        Hub.Scripts["logprobs"] = new Script().Say("one two <tool" + Write(("f", "{}")));
        var stream = await Client.StreamAsync("logprobs", "\"logprobs\":true,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
        var tokens = stream.Of(0).Select(chunk => chunk.GetProperty("logprobs")).Where(logprobs => logprobs.ValueKind == JsonValueKind.Object)
            .SelectMany(logprobs => logprobs.GetProperty("content").EnumerateArray()).Select(token => token.Text("token"));
        Assert.StartsWith(stream.Content(), string.Concat(tokens), StringComparison.Ordinal);
        Assert.Equal("one two <tool", stream.Content());
        Assert.Single(stream.ToolCalls());
    }

    [Fact]
    public async Task F14_Conversations_that_make_no_sense_are_refused_before_any_event()
    {
        const string Call = "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}";
        var orphan = await Client.RefuseAsync("""{"model":"scripted","stream":true,"messages":[{"role":"user","content":"a"},{"role":"tool","tool_call_id":"call_1","content":"b"}]}""");
        Assert.Equal((400, "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."), (orphan.Status, orphan.Message));
        var unanswered = await Client.RefuseAsync($$"""{"model":"scripted","stream":true,"messages":[{"role":"user","content":"a"}, {{Call}}, {"role":"user","content":"b"}] }""");
        Assert.StartsWith("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.", unanswered.Message, StringComparison.Ordinal);
        Assert.EndsWith("call_1", unanswered.Message, StringComparison.Ordinal);
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
            (400, "Invalid schema for function 'f': In context=('properties', 'a'), 'not' is not supported.", "tools", "invalid_function_parameters"),
            (error.Status, error.Message, error.Param, error.Code));
    }
}

public sealed class LlamaToolCallTests(LlamaHub fixture) : ToolCallTests(fixture), IClassFixture<LlamaHub>
{
    protected override bool HasText => false;

    protected override string Write(params (string Name, string Arguments)[] calls) =>
        string.Join("; ", calls.Select(call => $"{{\"name\": \"{call.Name}\", \"parameters\": {call.Arguments}}}"));
}

public sealed class MistralListToolCallTests(MistralListHub fixture) : ToolCallTests(fixture), IClassFixture<MistralListHub>
{
    protected override string Write(params (string Name, string Arguments)[] calls) =>
        $"[TOOL_CALLS][{string.Join(", ", calls.Select(call => $"{{\"name\": \"{call.Name}\", \"arguments\": {call.Arguments}}}"))}]";
}

public sealed class MistralNamedToolCallTests(MistralNamedHub fixture) : ToolCallTests(fixture), IClassFixture<MistralNamedHub>
{
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

    protected override string Write(params (string Name, string Arguments)[] calls) =>
        string.Concat(calls.Select(call => $"[TOOL_CALLS]{call.Name}[ARGS]{call.Arguments}"));
}

public sealed class GraniteToolCallTests(GraniteHub fixture) : ToolCallTests(fixture), IClassFixture<GraniteHub>
{
    protected override string Write(params (string Name, string Arguments)[] calls) =>
        $"<|tool_call|>[{string.Join(", ", calls.Select(call => $"{{\"name\": \"{call.Name}\", \"arguments\": {call.Arguments}}}"))}]";
}

public sealed class GenericToolCallTests(GenericHub fixture) : ToolCallTests(fixture), IClassFixture<GenericHub>
{
    protected override bool HasText => false;

    protected override bool HasSeveral => false;

    protected override string Write(params (string Name, string Arguments)[] calls) =>
        string.Join("\n", calls.Select(call => $"{{\"name\": \"{call.Name}\", \"arguments\": {call.Arguments}}}"));
}
