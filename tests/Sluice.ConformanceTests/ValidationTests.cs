using System.Net.Http.Headers;
using System.Text;
using Sluice.ConformanceTests.Harness;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Requests that are refused, and those that must not be (V). Every refusal comes as a status, never as a stream.</summary>
public sealed class ValidationTests(ScriptedHub fixture) : IClassFixture<ScriptedHub>
{
    private const string User = "{\"role\":\"user\",\"content\":\"Hello\"}";
    private const string WeatherTool = "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}";

    private ApiClient Client => fixture.Client;

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"model\":\"scripted\"")]
    [InlineData("{\"model\":\"scripted\",\"messages\":[]} x")]
    [InlineData("{\"model\":\"scripted\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":NaN}")]
    public async Task V01_V06_What_is_no_JSON(string body)
    {
        var error = await Client.RefuseAsync(body);
        Assert.Equal((400, "invalid_request_error", null, null), (error.Status, error.Type, error.Param, error.Code));
        Assert.StartsWith("We could not parse the JSON body of your request.", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("42")]
    [InlineData("\"x\"")]
    [InlineData("[]")]
    [InlineData("null")]
    public async Task V02_What_is_no_object(string body) => Assert.Equal(400, (await Client.RefuseAsync(body)).Status);

    [Theory]
    [InlineData("{\"messages\":[" + User + "]}", null, null, "you must provide a model parameter")]
    [InlineData("{\"model\":\"scripted\"}", "messages", "missing_required_parameter", "Missing required parameter: 'messages'.")]
    [InlineData("{\"model\":\"scripted\",\"messages\":[]}", "messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")]
    public async Task V03_Model_and_messages_must_be_there(string body, string? param, string? code, string message)
    {
        var error = await Client.RefuseAsync(body);
        Assert.Equal((400, param, code, message), (error.Status, error.Param, error.Code, error.Message));
    }

    [Theory]
    [InlineData("[{}]", "messages[0].role", "missing_required_parameter")]
    [InlineData("[\"x\"]", "messages[0]", "invalid_type")]
    [InlineData("[{\"role\":123}]", "messages[0].role", "invalid_type")]
    [InlineData("[{\"role\":\"user\",\"content\":123}]", "messages[0].content", "invalid_type")]
    [InlineData("[{\"role\":\"bogus\",\"content\":\"x\"}]", "messages[0].role", "invalid_value")]
    [InlineData("\"x\"", "messages", "invalid_type")]
    public async Task V04_V05_Messages_have_roles_and_contents(string messages, string param, string code)
    {
        var error = await Client.RefuseAsync($"{{\"model\":\"scripted\",\"stream\":true,\"messages\":{messages}}}");
        Assert.Equal((400, param, code), (error.Status, error.Param, error.Code));
    }

    [Theory]
    [InlineData("temperature", "-0.1", "decimal_below_min_value")]
    [InlineData("temperature", "2.1", "decimal_above_max_value")]
    [InlineData("temperature", "\"hot\"", "invalid_type")]
    [InlineData("temperature", "\"NaN\"", "invalid_type")]
    [InlineData("top_p", "1.1", "decimal_above_max_value")]
    [InlineData("presence_penalty", "2.1", "decimal_above_max_value")]
    [InlineData("frequency_penalty", "-2.1", "decimal_below_min_value")]
    [InlineData("n", "0", "integer_below_min_value")]
    [InlineData("n", "129", "integer_above_max_value")]
    [InlineData("n", "1.5", "invalid_type")]
    [InlineData("n", "\"2\"", "invalid_type")]
    [InlineData("max_tokens", "0", "integer_below_min_value")]
    [InlineData("seed", "9223372036854775808", "integer_above_max_value")]
    [InlineData("logit_bias", "{\"5\":101}", null)]
    [InlineData("logit_bias", "[]", "invalid_type")]
    [InlineData("service_tier", "\"cheap\"", "invalid_value")]
    public async Task V06_V07_V08_V17_Values_out_of_range(string name, string value, string? code)
    {
        var error = await Client.RefuseAsync(Client.Chat("Hello", $"\"stream\":true,\"{name}\":{value}"));
        Assert.Equal(400, error.Status);
        Assert.StartsWith(name, error.Param, StringComparison.Ordinal);
        if (code is not null) Assert.Equal(code, error.Code);
    }

    [Theory]
    [InlineData("\"temperature\":0")]
    [InlineData("\"temperature\":2")]
    [InlineData("\"top_p\":0")]
    [InlineData("\"presence_penalty\":-2,\"frequency_penalty\":2")]
    [InlineData("\"n\":128,\"max_tokens\":1")]
    [InlineData("\"seed\":9223372036854775807")]
    [InlineData("\"seed\":-9223372036854775808")]
    [InlineData("\"logit_bias\":{\"50256\":-100}")]
    [InlineData("\"logit_bias\":{\"65\":100}")]
    [InlineData("\"max_tokens\":2147483647")]
    public async Task V06_V07_V08_V17_Values_at_the_edge(string more) =>
        Assert.Equal("chat.completion", (await Client.CompleteAsync("Hello", more)).Text("object"));

    [Theory]
    [InlineData("\"logprobs\":true,\"top_logprobs\":21", "integer_above_max_value")]
    [InlineData("\"top_logprobs\":2", null)]
    [InlineData("\"logprobs\":false,\"top_logprobs\":0", null)]
    public async Task V09_V21_Top_logprobs(string more, string? code)
    {
        foreach (var stream in (string[])["true", "false"])
        {
            var error = await Client.RefuseAsync(Client.Chat("Hello", $"\"stream\":{stream},{more}"));
            Assert.Equal((400, "top_logprobs", code), (error.Status, error.Param, error.Code));
        }
    }

    [Theory]
    [InlineData("\"stream\":false,")]
    [InlineData("")]
    public async Task V10_Stream_options_need_a_stream(string stream)
    {
        var error = await Client.RefuseAsync(Client.Chat("Hello", stream + "\"stream_options\":{\"include_usage\":true}"));
        Assert.Equal(400, error.Status);
        Assert.Equal("The 'stream_options' parameter is only allowed when 'stream' is enabled.", error.Message);
        Assert.Equal(("stream_options", null), (error.Param, error.Code));
    }

    [Fact]
    public async Task V11_Null_is_absent()
    {
        string[] names =
        [
            "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
            "metadata", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "reasoning_effort",
            "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature",
            "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
        ];
        var completion = await Client.CompleteAsync("Hello", string.Join(',', names.Select(name => $"\"{name}\":null")));
        Assert.Equal("Hello", completion.GetProperty("choices")[0].GetProperty("message").Text("content"));
    }

    [Theory]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice")]
    [InlineData("\"tools\":[" + WeatherTool + "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"other\"}}", "tool_choice")]
    [InlineData("\"tools\":[" + WeatherTool + "],\"tool_choice\":{}", "tool_choice.type")]
    [InlineData("\"tools\":[{\"type\":\"function\"}]", "tools[0].function")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{}}]", "tools[0].function.name")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get weather\"}}]", "tools[0].function.name")]
    [InlineData("\"response_format\":{\"type\":\"bogus\"}", "response_format.type")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema")]
    [InlineData("\"metadata\":{\"k\":1}", "metadata.k")]
    public async Task V12_V13_V14_V15_Structures(string more, string param)
    {
        var error = await Client.RefuseAsync(Client.Chat("Hello", "\"stream\":true," + more));
        Assert.Equal((400, param), (error.Status, error.Param));
    }

    [Fact]
    public async Task V13_V15_Too_many_and_too_long()
    {
        var tools = string.Join(',', Enumerable.Repeat(WeatherTool, 129));
        var pairs = string.Join(',', Enumerable.Range(0, 17).Select(i => $"\"k{i}\":\"v\""));
        foreach (var more in (string[])
        [
            $"\"tools\":[{tools}]", $"\"metadata\":{{{pairs}}}", $"\"metadata\":{{\"{new string('k', 65)}\":\"v\"}}",
            $"\"metadata\":{{\"k\":\"{new string('v', 513)}\"}}",
        ])
        {
            Assert.Equal(400, (await Client.RefuseAsync(Client.Chat("Hello", more))).Status);
        }
    }

    [Fact]
    public async Task V16_Unknown_keys_are_accepted()
    {
        const string Body = """{"model":"scripted","zzz":{"a":[1]},"messages":[{"role":"user","content":"Hello","cache_control":{"type":"ephemeral"}}]}""";
        using var response = await Client.SendAsync(Body);
        Assert.True(response.IsSuccessStatusCode);
    }

    [Fact]
    public async Task V18_Text_parts_are_joined()
    {
        const string Parts = """[{"type":"text","text":"Hello"},{"type":"text","text":"world"}]""";
        using var response = await Client.SendAsync($$"""{"model":"scripted","messages":[{"role":"user","content":{{Parts}}}]}""");
        var completion = Json.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal("Hello\nworld", completion.GetProperty("choices")[0].GetProperty("message").Text("content"));
    }

    [Theory]
    [InlineData("""[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]""")]
    [InlineData("""[{"type":"bogus"}]""")]
    [InlineData("[]")]
    public async Task V18_Other_parts_are_refused(string parts)
    {
        var error = await Client.RefuseAsync($$"""{"model":"scripted","messages":[{"role":"user","content":{{parts}}}]}""");
        Assert.Equal(400, error.Status);
        Assert.StartsWith("messages", error.Param, StringComparison.Ordinal);
    }

    [Fact]
    public async Task V19_A_body_too_large_is_413_and_the_connection_lives()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Limits = new Limits { RequestBodyBytes = 4096 } });
        using var client = new ApiClient(hub);
        using var connection = await RawConnection.OpenAsync(hub.Address);
        await connection.PostAsync(client.Chat(new string('x', 100_000), "\"stream\":true"));
        var head = await connection.ReadHeadAsync();
        var error = ReceivedError.Read(head.Status, await connection.ReadBodyAsync(head));
        Assert.Equal((413, "invalid_request_error"), (error.Status, error.Type));

        await connection.PostAsync(client.Chat("Hello", "\"stream\":true"));
        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
        Assert.Equal("Hello", ChatStream.Parse(await connection.ReadBodyAsync()).Content());
    }

    [Fact]
    public async Task V20_Of_two_faults_always_the_same_is_told()
    {
        var first = await Client.RefuseAsync(Client.Chat("Hello", "\"temperature\":3,\"n\":0"));
        var second = await Client.RefuseAsync(Client.Chat("Hello", "\"n\":0,\"temperature\":3"));
        Assert.Equal(first, second);
    }

    [Theory]
    [InlineData("application/json; charset=utf-8", 200)]
    [InlineData("Application/JSON", 200)]
    [InlineData("text/plain", 415)]
    [InlineData(null, 415)]
    public async Task V22_Only_JSON_is_read(string? contentType, int status)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(Client.Chat("Hello")));
        if (contentType is not null) content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        using var request = new HttpRequestMessage(HttpMethod.Post, ApiClient.ChatPath) { Content = content };
        using var response = await Client.SendAsync(request);
        Assert.Equal(status, (int)response.StatusCode);
        if (status != 200) await ReceivedError.ReadAsync(response);
    }

    [Theory]
    [InlineData("\"max_tokens\":1,\"max_completion_tokens\":2", 2)]
    [InlineData("\"max_tokens\":2,\"max_completion_tokens\":1", 1)]
    public async Task V23_The_newer_name_wins(string more, int expected)
    {
        var usage = (await Client.CompleteAsync("a long answer", more)).GetProperty("usage");
        Assert.Equal(expected, usage.GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task V_A_prompt_beyond_the_context_is_refused()
    {
        var error = await Client.RefuseAsync(Client.Chat(new string('x', 10_000), "\"stream\":true"));
        Assert.Equal((400, "messages", "context_length_exceeded"), (error.Status, error.Param, error.Code));
        Assert.StartsWith("This model's maximum context length is 8192 tokens.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task V_Max_tokens_beyond_the_context_are_cut_to_fit()
    {
        var stream = await Client.StreamAsync(new string('z', 8100), "\"max_tokens\":8192,\"stream_options\":{\"include_usage\":true}");
        Assert.Equal("length", stream.FinishReason());
        Assert.Equal(8192, stream.Usage().GetProperty("total_tokens").GetInt32());
    }
}
