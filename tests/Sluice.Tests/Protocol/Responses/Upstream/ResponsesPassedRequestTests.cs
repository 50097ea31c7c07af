using System.Buffers;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Responses.Upstream;
using Xunit;

namespace Sluice.Tests.Protocol.Responses.Upstream;

/// <summary>Requests to the Responses API that go to an upstream of the same API.</summary>
public sealed class ResponsesPassedRequestTests
{
    private const string Origin = "responses/x/gpt-x";
    private const string Asked = "\"include\":[\"reasoning.encrypted_content\"]";

    private static readonly ReasoningSeal s_seal = new(new byte[ReasoningSeal.KeyBytes]);

    private static string Write(string body, bool isStream = true, string origin = Origin)
    {
        var output = new ArrayBufferWriter<byte>();
        ResponsesPassedRequest.Write(Encoding.UTF8.GetBytes(body), new ResponsesOptions("gpt-x") { Origin = origin, Seal = s_seal, IsStream = isStream }, output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    [Theory]
    [InlineData("""{ "model" : "m", "input":"x" , "x":[1, 2.50],"stream":true,"store":false,"include":["reasoning.encrypted_content"] }""", """{ "model" : "gpt-x", "input":"x" , "x":[1, 2.50],"stream":true,"store":false,"include":["reasoning.encrypted_content"] }""")]
    [InlineData("""{"model":"m","input":"x"}""", """{"model":"gpt-x","input":"x","store":false,""" + Asked + "}")]
    [InlineData("""{"model":"m","model":"gpt-x","store":true,"include":null}""", """{"model":"gpt-x","store":false,""" + Asked + "}")]
    [InlineData("""{"model":"gpt-x","previous_response_id":"resp_1","conversation":{"id":"c"},"background":true,"background_options":{},"store":false,"include":[]}""", """{"model":"gpt-x","store":false,""" + Asked + "}")]
    [InlineData("""{"model":"gpt-x","store":false,"include":["a" ]}""", """{"model":"gpt-x","store":false,"include":["a" ,"reasoning.encrypted_content"]}""")]
    [InlineData("""{"model":"gpt-x","store":false,"include":"x"}""", """{"model":"gpt-x","store":false,"include":"x"}""")]
    public void Everything_stays_but_the_model_and_what_is_the_hubs(string body, string expected) => Assert.Equal(expected, Write(body));

    [Fact]
    public void Without_a_stream_nothing_asks_for_one() => Assert.Equal(
        """{"model":"gpt-x","store":false,""" + Asked + "}",
        Write("""{"model":"gpt-x","stream":true,"stream_options":{"include_obfuscation":false},"store":false,""" + Asked + "}", isStream: false));

    [Theory]
    [InlineData("""["reasoning.encrypted_content"]""", "")]
    [InlineData("""["a", "reasoning.encrypted_content","b"]""", ""","include":["a","b"]""")]
    [InlineData("""["a"]""", ""","include":["a"]""")]
    public void A_server_that_has_refused_reasoning_is_not_asked_for_it(string include, string left) => Assert.Equal(
        $$"""{"model":"gpt-x","store":false{{left}}}""", Write($$"""{"model":"gpt-x","store":false,"include":{{include}}}""", origin: ""));

    // The API refuses an item that has come of reasoning, and isn't preceded by it; and an id that it has not kept.
    [Fact]
    public void What_came_of_reasoning_that_is_left_out_has_no_id()
    {
        const string Call = """{"type":"function_call", "id":"fc_1","call_id":"c","name":"f","arguments":"{}"}""";
        const string Bare = """{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}""";
        const string Tail = """{"type":"message","id":"msg_1","role":"assistant","content":"x"},{"type":"function_call_output","id":"fco_1","call_id":"c","output":"1"},{"type":"function_call","id":"fc_2","call_id":"d","name":"f","arguments":"{}"}""";
        var bareTail = Tail.Replace("\"id\":\"msg_1\",", "", StringComparison.Ordinal);
        string Body(string items) => $$"""{"model":"gpt-x","input":[{{items}}],"store":false,{{Asked}}}""";
        foreach (var lost in (string[])["""{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Hm"}],"encrypted_content":null}""", """{"id":"rs_1","type":"reasoning","summary":[]}""", """{"type":"reasoning","id":"rs_1","encrypted_content":"slc1.AAAA"}"""])
            Assert.Equal(Body($"{Bare},{bareTail}"), Write(Body($"{lost},{Call},{Tail}")));
        foreach (var own in (string[])["""{"type":"reasoning","id":"rs_1","encrypted_content":"Z0FB"}""", """{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"Hm"}]}""", """{"type":"reasoning","summary":[]}"""])
            Assert.Equal(Body($"{own},{Call},{Tail}"), Write(Body($"{own},{Call},{Tail}")));
    }

    [Fact]
    public void Reasoning_goes_back_to_its_producer_only()
    {
        const string Item = """{"id":"rs_up","type":"reasoning","summary":[],"encrypted_content":"ZW5j"}""";
        string Sealed(string origin) => $$"""{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"{{s_seal.Seal(new ReasoningBlob(origin, Encoding.UTF8.GetBytes(Item)))}}"}""";
        const string Foreign = """{"type":"reasoning","id":"rs_2","encrypted_content":"Z0FB"}""";
        const string Rest = """{"role":"user","content" : "x"},{"type":"new_item"}, 7""";
        string Body(string items) => $$"""{"model":"gpt-x","input":[{{items}}],"store":false,{{Asked}}}""";

        Assert.Equal(Body($"{Item},{Foreign},{Rest.Replace(", 7", ",7", StringComparison.Ordinal)}"), Write(Body($"{Sealed(Origin)}, {Sealed("responses/y/gpt-x")},{Foreign},{Rest}")));
        Assert.Equal(Body($"{Foreign},{Rest}"), Write(Body($"{Foreign},{Rest}")));
        Assert.Equal(Body("{\"type\":\"new_item\"}").Replace("," + Asked, "", StringComparison.Ordinal), Write(Body($"{Sealed(Origin)},{Foreign},{{\"type\":\"new_item\"}}"), origin: ""));
        Assert.Equal(Body("1").Replace("," + Asked, "", StringComparison.Ordinal), Write("""{"model":"gpt-x","input":[1],"store":false}""", origin: ""));
    }
}
