using System.Buffers;
using System.Text;
using Sluice.Protocol;
using Sluice.Protocol.Chat;
using Sluice.Testing;
using Xunit;
using static Sluice.Tests.Protocol.Chat.RequestReading;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>What is checked before any parameter: V-01 to V-03, V-16, V-20.</summary>
public sealed class RequestBodyTests
{
    private const string ParseText =
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. "
        + "The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)";

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("{")]
    [InlineData("{\"model\":}")]
    [InlineData("{'model':'m'}")]
    [InlineData("{\"model\":\"m\",}")]
    [InlineData("{\"model\":\"m\"} x")]
    [InlineData("{\"model\":\"m\"}{}")]
    [InlineData("{\"model\":NaN}")]
    [InlineData("{\"temperature\":Infinity}")]
    [InlineData("{\"a\":1} // comment")]
    [InlineData("nope")]
    [InlineData("{\"a\":\"\n\"}")]
    public void Text_that_is_not_one_JSON_text_is_refused(string body) => Refuse(body, ParseText, null, null);

    [Theory]
    [InlineData("{\"a\":\"\\ud83d\\ude00\"}")]
    [InlineData("{\"a\":\"\\uD83D\\uDE00 \\\\ud83d \\u0041\"}")]
    public void Pairs_of_surrogates_and_escaped_backslashes_are_text(string body) =>
        Refuse(body, "you must provide a model parameter", null, null);

    [Theory]
    [InlineData("\\ud83d", "\uFFFD")]
    [InlineData("\\ude00", "\uFFFD")]
    [InlineData("\\ud83d\\ud83d\\ude00", "\uFFFD\U0001F600")]
    [InlineData("\\ud83dx\\ude00", "\uFFFDx\uFFFD")]
    [InlineData("\\ude00\\ud83d", "\uFFFD\uFFFD")]
    [InlineData("\\\\ud83d \\uDBFF", "\\ud83d \uFFFD")]
    public void Half_a_pair_of_surrogates_reads_as_a_replacement_character(string json, string text) =>
        Assert.Equal(text, Accept(Body($"\"user\":\"{json}\"")).User);

    [Fact]
    public void Ill_formed_UTF8_is_refused() => Assert.Equal(
        ParseText, Refuse(new ReadOnlySequence<byte>([.. "{\"model\":\""u8, 0xC3, .. "\"}"u8])).Message);

    [Theory]
    [InlineData("42", "an integer")]
    [InlineData("4.2", "a decimal number")]
    [InlineData("\"x\"", "a string")]
    [InlineData("[]", "an array")]
    [InlineData("true", "a boolean")]
    [InlineData("null", "null")]
    public void A_body_that_is_no_object_is_refused(string body, string got) =>
        Refuse(body, $"Invalid type for the request body: expected an object, but got {got} instead.", null, "invalid_type");

    [Fact]
    public void A_byte_order_mark_is_skipped() => Assert.Equal("m", Accept("\uFEFF" + Body("\"n\":1")).Model);

    [Fact]
    public void Nesting_is_accepted_up_to_the_bound_and_refused_beyond_it()
    {
        // The body itself is one level.
        var inside = ProtocolLimits.JsonDepthMax - 1;
        Accept(Body($"\"x\":{new string('[', inside)}{new string(']', inside)}"));
        Refuse(Body($"\"x\":{new string('[', inside + 1)}{new string(']', inside + 1)}"), ParseText, null, null);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}")]
    [InlineData("{\"model\":null,\"n\":0}")]
    [InlineData("{\"model\":\"\"}")]
    public void A_request_without_model_says_so_first(string body) => Refuse(body, "you must provide a model parameter", null, null);

    [Theory]
    [InlineData("{\"model\":\"m\"}")]
    [InlineData("{\"model\":\"m\",\"messages\":null,\"n\":0}")]
    public void A_request_without_messages_says_so_second(string body) =>
        Refuse(body, "Missing required parameter: 'messages'.", "messages", "missing_required_parameter");

    [Fact]
    public void An_empty_list_of_messages_is_refused() => Refuse(
        Conversation("[]"),
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        "messages",
        "empty_array");

    [Fact]
    public void A_model_of_another_type_is_refused() => Refuse(
        "{\"model\":7,\"messages\":[]}", "Invalid type for 'model': expected a string, but got an integer instead.", "model", "invalid_type");

    [Fact]
    public void Model_names_are_bounded()
    {
        Accept($$"""{"model":"{{new string('m', 256)}}","messages":{{RequestReading.Messages}}}""");
        Refuse(
            $$"""{"model":"{{new string('m', 257)}}","messages":{{RequestReading.Messages}}}""",
            "Invalid 'model': string too long. Expected a string with maximum length 256, but got a string with length 257 instead.",
            "model",
            "string_above_max_length");
    }

    [Fact]
    public void Unknown_keys_are_accepted_at_the_top_and_in_messages()
    {
        Accept(Body("\"zzz\":{\"a\":[1,2,{}]},\"reasoning\":{\"effort\":\"low\"}"));
        Accept(Conversation("""[{"role":"user","content":"hi","zzz":1}]"""));
    }

    [Fact]
    public void Of_a_key_that_is_there_twice_the_last_one_counts()
    {
        Assert.Equal(3, Accept(Body("\"n\":0,\"n\":3")).N);
        Assert.Equal("b", Accept(Conversation("""[{"role":"user","content":"a","content":"b"}]""")).Messages[0].Text);
        Assert.Equal(-1, Accept(Body("\"logit_bias\":{\"5\":1,\"5\":-1}")).LogitBias[5]);
        Refuse(Body("\"n\":3,\"n\":0"));
    }

    [Fact]
    public void Every_optional_field_may_be_null()
    {
        string[] names =
        [
            "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
            "metadata", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty", "reasoning_effort", "response_format",
            "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_logprobs",
            "top_p", "user", "verbosity", "web_search_options", "top_k", "min_p", "repetition_penalty", "safety_identifier",
            "prompt_cache_key",
        ];
        var nulls = Accept(Body(string.Join(',', names.Select(name => $"\"{name}\":null"))));
        var absent = Accept(Conversation(RequestReading.Messages));
        Assert.Equal(Describe(absent), Describe(nulls));
        Assert.Null(nulls.FindLocalRefusal());

        static string Describe(ChatCompletionRequest request) =>
            (request with { Messages = [], Stop = [], LogitBias = null!, Metadata = null! }).ToString();
    }

    // The pairs are the API's order as others measured it; each body is wrong twice, the fault told later standing first.
    [Theory]
    [InlineData("\"temperature\":\"hot\",\"n\":0", "n")]
    [InlineData("\"stop\":7,\"n\":\"abc\"", "n")]
    [InlineData("\"temperature\":9,\"stop\":7", "stop")]
    [InlineData("\"top_p\":\"x\",\"temperature\":\"x\"", "temperature")]
    [InlineData("\"presence_penalty\":\"x\",\"top_p\":\"x\"", "top_p")]
    [InlineData("\"frequency_penalty\":\"x\",\"presence_penalty\":\"x\"", "presence_penalty")]
    [InlineData("\"logprobs\":\"x\",\"frequency_penalty\":\"x\"", "frequency_penalty")]
    [InlineData("\"top_logprobs\":\"x\",\"logprobs\":\"x\"", "logprobs")]
    [InlineData("\"user\":7,\"top_logprobs\":21", "top_logprobs")]
    [InlineData("\"seed\":1.5,\"user\":7", "user")]
    [InlineData("\"service_tier\":\"bogus\",\"seed\":1.5", "seed")]
    [InlineData("\"stream\":1,\"service_tier\":7", "service_tier")]
    [InlineData("\"store\":\"x\",\"stream\":\"y\"", "stream")]
    [InlineData("\"metadata\":\"x\",\"store\":7", "store")]
    [InlineData("\"metadata\":{\"k\":7},\"n\":0", "n")]
    [InlineData("\"n\":0,\"max_completion_tokens\":0", "max_completion_tokens")]
    [InlineData("\"max_completion_tokens\":0,\"parallel_tool_calls\":7", "parallel_tool_calls")]
    [InlineData("\"parallel_tool_calls\":7,\"tools\":\"x\"", "tools")]
    [InlineData("\"tools\":\"x\",\"functions\":\"x\"", "functions")]
    [InlineData("\"stream_options\":{},\"metadata\":7", "metadata")]
    public void Of_two_faults_one_is_told_always_the_same(string members, string param) => Assert.Equal(param, Refuse(Body(members)).Param);

    [Fact]
    public void A_body_reads_the_same_however_it_is_cut()
    {
        var bytes = Encoding.UTF8.GetBytes("\uFEFF" + """{"model":"m","messages":[{"role":"user","content":"é😀"}]}""");
        foreach (var fragments in Fragmenter.Fragment(bytes))
        {
            Assert.True(ChatCompletionRequestReader.TryRead(Fragmenter.ToSequence(fragments), out var request, out _));
            Assert.Equal("é😀", request.Messages[0].Text);
        }
    }
}
