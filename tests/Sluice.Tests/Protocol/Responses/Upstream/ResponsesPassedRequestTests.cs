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
        Assert.Equal(Body("{\"type\":\"new_item\"}"), Write(Body($"{Sealed(Origin)},{Foreign},{{\"type\":\"new_item\"}}"), origin: ""));
        Assert.Equal(Body("1").Replace("," + Asked, "", StringComparison.Ordinal), Write("""{"model":"gpt-x","input":[1],"store":false}""", origin: ""));
    }
}
