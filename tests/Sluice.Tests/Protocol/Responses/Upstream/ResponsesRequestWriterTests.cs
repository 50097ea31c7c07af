using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Responses.Upstream;
using Xunit;

namespace Sluice.Tests.Protocol.Responses.Upstream;

/// <summary>What chat requests become for the Responses API.</summary>
public sealed class ResponsesRequestWriterTests
{
    private const string Origin = "responses/x/gpt-x";

    private static readonly ReasoningSeal s_seal = new(new byte[ReasoningSeal.KeyBytes]);

    private static JsonObject Write(string members, string messages = """[{"role":"user","content":"x"}]""", string origin = Origin)
    {
        var body = Encoding.UTF8.GetBytes($$"""{"model":"m","messages":{{messages}}{{members}}}""");
        Assert.True(ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(body), out var request, out var invalid), invalid?.Message);
        var output = new ArrayBufferWriter<byte>();
        Assert.Null(ResponsesRequestWriter.Write(body, request, new ResponsesOptions("gpt-x") { Origin = origin, Seal = s_seal }, output));
        return JsonNode.Parse(output.WrittenSpan)!.AsObject();
    }

    private static void Equal(string expected, JsonNode? actual) => Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), actual), actual?.ToJsonString());

    [Theory]
    [InlineData("""{"role":"system","content":"a"}""", """{"type":"message","role":"system","content":"a"}""")]
    [InlineData("""{"role":"developer","content":[{"type":"text","text":"a"}]}""", """{"type":"message","role":"developer","content":[{"type":"input_text","text":"a"}]}""")]
    [InlineData(
        """{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x/a.png","detail":"low"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}""",
        """{"type":"message","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x/a.png","detail":"low"},{"type":"input_image","image_url":"data:image/png;base64,AA","detail":"auto"}]}""")]
    [InlineData(
        """{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA","filename":"a.pdf"}},{"type":"file","file":{"file_id":"file-1"}}]}""",
        """{"type":"message","role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AA"},{"type":"input_file","file_id":"file-1"}]}""")]
    [InlineData("""{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}]}""", """{"type":"message","role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}]}""")]
    [InlineData("""{"role":"assistant","content":"a"}""", """{"type":"message","role":"assistant","content":"a"}""")]
    [InlineData("""{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":""},{"type":"text","text":"b"}]}""", """{"type":"message","role":"assistant","content":"a\nb"}""")]
    [InlineData(
        """{"role":"assistant","content":"a","refusal":"no"}""",
        """{"type":"message","role":"assistant","id":"msg_0","status":"completed","content":[{"type":"output_text","text":"a","annotations":[]},{"type":"refusal","refusal":"no"}]}""")]
    public void A_message_is_an_item(string message, string item) => Equal($"[{item}]", Write("", $"[{message}]")["input"]);

    [Fact]
    public void A_turn_with_tools_is_reasoning_text_calls_and_results_in_order()
    {
        var item = """{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"ZW5j"}""";
        var own = s_seal.Seal(new ReasoningBlob(Origin, Encoding.UTF8.GetBytes(item)));
        var other = s_seal.Seal(new ReasoningBlob("responses/y/gpt-x", Encoding.UTF8.GetBytes("""{"type":"reasoning"}""")));
        var messages = $$$"""
            [{"role":"system","content":"s"},{"role":"user","content":"u"},
             {"role":"assistant","content":"Hm.","reasoning_content":"visible","sluice":{"sealed":["{{{own}}}","{{{other}}}","slc1.x"],"reasoning":[{"type":"reasoning","id":"rs_0","summary":[]},{"type":"message"}]},
              "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"c2","type":"custom","custom":{"name":"sh","input":"ls"}}]},
             {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
             {"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},
             {"role":"developer","content":"later"},{"role":"user","content":"v"}]
            """;
        Equal(
            $$"""
            [{"type":"message","role":"system","content":"s"},{"type":"message","role":"user","content":"u"},
             {"type":"reasoning","id":"rs_0","summary":[]},{{item}},
             {"type":"message","role":"assistant","content":"Hm."},
             {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"x\":1}"},{"type":"custom_tool_call","call_id":"c2","name":"sh","input":"ls"},
             {"type":"function_call_output","call_id":"c1","output":"a\nb"},
             {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"data:image/png;base64,AA","detail":"auto"}]},
             {"type":"message","role":"developer","content":"later"},{"type":"message","role":"user","content":"v"}]
            """,
            Write("", messages)["input"]);
        var without = Write("", messages, origin: "");
        Assert.DoesNotContain("reasoning", without.ToJsonString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"max_completion_tokens\":50", "\"max_output_tokens\":50")]
    [InlineData("\"max_tokens\":3", "\"max_output_tokens\":16")]
    [InlineData("\"temperature\":1.5,\"top_p\":0.5", "\"temperature\":1.5,\"top_p\":0.5")]
    [InlineData("\"seed\":1,\"metadata\":{\"a\":\"b\"},\"prediction\":{\"type\":\"content\",\"content\":\"x\"},\"store\":true,\"stop\":\"x\",\"n\":1", "")]
    [InlineData("\"reasoning_effort\":\"high\",\"verbosity\":\"low\"", "\"text\":{\"verbosity\":\"low\"},\"reasoning\":{\"effort\":\"high\"}")]
    [InlineData("\"reasoning_effort\":\"high\",\"reasoning\":{\"summary\":\"auto\"}", "\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"}")]
    [InlineData("\"reasoning\":{\"summary\":\"auto\"},\"truncation\":\"auto\"", "\"reasoning\":{\"summary\":\"auto\"},\"truncation\":\"auto\"")]
    [InlineData("\"user\":\"u\",\"prompt_cache_key\":\"k\",\"service_tier\":\"flex\",\"safety_identifier\":\"s\"", "\"user\":\"u\",\"safety_identifier\":\"s\",\"prompt_cache_key\":\"k\",\"service_tier\":\"flex\"")]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}", "\"text\":{\"format\":{\"type\":\"json_object\"}}")]
    [InlineData(
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"description\":\"d\",\"strict\":true,\"schema\":{\"type\":\"object\"}}}",
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":\"d\",\"schema\":{\"type\":\"object\"},\"strict\":true}}")]
    [InlineData(
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false",
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true},{\"type\":\"function\",\"name\":\"g\",\"parameters\":{\"type\":\"object\",\"properties\":{}},\"strict\":false}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\"parallel_tool_calls\":false")]
    [InlineData(
        "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"regex\",\"definition\":\"a+\"}}}}],\"tool_choice\":\"required\"",
        "\"tools\":[{\"type\":\"custom\",\"name\":\"sh\",\"format\":{\"type\":\"grammar\",\"syntax\":\"regex\",\"definition\":\"a+\"}}],\"tool_choice\":\"required\"")]
    [InlineData(
        "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"sh\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"sh\"}}]}}",
        "\"tools\":[{\"type\":\"custom\",\"name\":\"sh\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"custom\",\"name\":\"sh\"}]}")]
    public void A_parameter_has_its_counterpart_or_is_left_out(string members, string expected)
    {
        var body = Write("," + members);
        foreach (var name in (string[])["model", "input", "store", "stream", "include"]) body.Remove(name);
        Equal($"{{{expected}}}", body);
    }

    [Fact]
    public void What_is_included_is_joined_with_what_the_hub_needs()
    {
        Equal("""["a","reasoning.encrypted_content","message.output_text.logprobs"]""", Write(""","include":["a","reasoning.encrypted_content"],"logprobs":true,"top_logprobs":2""")["include"]);
        Equal("2", Write(""","logprobs":true,"top_logprobs":2""")["top_logprobs"]);
        Assert.Null(Write("", origin: "")["include"]);
    }

    [Fact]
    public void Equal_requests_give_equal_bytes_and_nothing_is_kept_there()
    {
        var (first, second) = (Write(",\"top_p\":0.5"), Write(",\"top_p\":0.5"));
        Assert.Equal(first.ToJsonString(), second.ToJsonString());
        Assert.Equal((false, true), ((bool)first["store"]!, (bool)first["stream"]!));
    }
}
