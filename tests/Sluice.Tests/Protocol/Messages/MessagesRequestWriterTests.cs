using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Messages;
using Xunit;

namespace Sluice.Tests.Protocol.Messages;

/// <summary>What a chat request becomes for Anthropic. That its own SDK takes the bodies is tested with the SDK.</summary>
public sealed class MessagesRequestWriterTests
{
    private const string Hi = """[{"role":"user","content":"Hi"}]""";

    private static (string? Body, ApiError? Error) Translate(string body, ThinkingMode thinking = ThinkingMode.Adaptive, bool takesSampling = false)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        Assert.True(ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(bytes), out var request, out var refused), refused?.Message);
        var output = new ArrayBufferWriter<byte>();
        var error = MessagesRequestWriter.Write(bytes, request, new MessagesOptions("claude-x", 4096, thinking, takesSampling), output);
        return (error is null ? Encoding.UTF8.GetString(output.WrittenSpan) : null, error);
    }

    private static string Ask(string more, string messages = Hi) => $$"""{"model":"m","messages":{{messages}}{{more}}}""";

    private static void Same(string expected, string? actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual!)), $"Expected {expected}\nand got  {actual}");

    // Only the members that a case is about.
    private static void HasMembers(string expected, string? actual)
    {
        var body = JsonNode.Parse(actual!)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(expected)!.AsObject())
            Assert.True(JsonNode.DeepEquals(value, body[name]), $"Expected {name}: {value?.ToJsonString() ?? "nothing"}\nin       {actual}");
    }

    [Fact]
    public void A_plain_request_has_what_must_be_there_and_no_more() => Same(
        """{"model":"claude-x","max_tokens":4096,"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}""",
        Translate(Ask(",\"stream\":false,\"n\":1,\"logprobs\":false,\"presence_penalty\":0,\"stop\":null,\"tools\":null")).Body);

    [Fact]
    public void A_byte_order_mark_is_no_part_of_it() => Assert.NotNull(Translate("\uFEFF" + Ask("")).Body);

    [Theory]
    [InlineData(",\"max_tokens\":7", """{"max_tokens":7}""")]
    [InlineData(",\"max_tokens\":7,\"max_completion_tokens\":9", """{"max_tokens":9,"max_completion_tokens":null}""")]
    [InlineData(",\"temperature\":0.25,\"top_p\":0.5,\"top_k\":40", """{"temperature":null,"top_p":null,"top_k":null}""")]
    [InlineData(",\"stop\":\"END\"", """{"stop":null,"stop_sequences":["END"]}""")]
    [InlineData(",\"stop\":[\"A\",\"B\\n\"]", """{"stop_sequences":["A","B\n"]}""")]
    [InlineData(",\"user\":\"u-1\",\"safety_identifier\":\"s-1\"", """{"user":null,"metadata":{"user_id":"u-1"}}""")]
    [InlineData(",\"safety_identifier\":\"s-1\"", """{"safety_identifier":null,"metadata":{"user_id":"s-1"}}""")]
    [InlineData(",\"metadata\":{\"a\":\"b\"},\"seed\":1,\"store\":true,\"service_tier\":\"flex\",\"verbosity\":\"low\",\"prompt_cache_key\":\"k\"",
        """{"metadata":null,"seed":null,"store":null,"service_tier":null,"verbosity":null,"prompt_cache_key":null}""")]
    [InlineData(",\"inference_geo\":\"eu\",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},\"unheard\":null",
        """{"inference_geo":"eu","thinking":{"type":"enabled","budget_tokens":2000},"unheard":null}""")]
    public void Parameters_are_translated_dropped_or_none_of_ours(string more, string expected) => HasMembers(expected, Translate(Ask(more)).Body);

    [Theory]
    [InlineData(",\"temperature\":0.25,\"top_p\":0.5,\"top_k\":40", """{"temperature":0.25,"top_p":0.5,"top_k":40}""")]
    [InlineData(",\"temperature\":1.7", """{"temperature":1}""")]
    [InlineData(",\"top_k\":-1", """{"top_k":null}""")]
    public void Sampling_is_told_to_a_version_that_knows_it(string more, string expected) => HasMembers(expected, Translate(Ask(more), takesSampling: true).Body);

    [Theory]
    [InlineData("none", """{"thinking":{"type":"disabled"},"output_config":null}""")]
    [InlineData("minimal", """{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}""")]
    [InlineData("medium", """{"thinking":{"type":"adaptive"},"output_config":{"effort":"medium"},"reasoning_effort":null}""")]
    [InlineData("xhigh", """{"thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}}""")]
    public void Effort_is_told_to_models_that_know_it(string effort, string expected) =>
        HasMembers(expected, Translate(Ask($",\"reasoning_effort\":\"{effort}\"")).Body);

    [Theory]
    [InlineData("none", 4096, """{"thinking":{"type":"disabled"},"output_config":null}""")]
    [InlineData("low", 4096, """{"thinking":{"type":"enabled","budget_tokens":1024},"output_config":null}""")]
    [InlineData("medium", 20000, """{"thinking":{"type":"enabled","budget_tokens":10000}}""")]
    [InlineData("high", 20000, """{"thinking":{"type":"enabled","budget_tokens":16000}}""")]
    [InlineData("max", 20000, """{"thinking":{"type":"enabled","budget_tokens":19000}}""")]
    [InlineData("high", 1024, """{"thinking":null}""")]
    public void Effort_is_a_share_of_the_tokens_for_models_that_want_a_number(string effort, int maxTokens, string expected) =>
        HasMembers(expected, Translate(Ask($",\"max_tokens\":{maxTokens},\"reasoning_effort\":\"{effort}\""), ThinkingMode.Budget).Body);

    [Fact]
    public void What_a_client_says_of_thinking_itself_goes_before_its_effort() => HasMembers(
        """{"thinking":{"type":"disabled"},"output_config":{"effort":"max"}}""",
        Translate(Ask(",\"reasoning_effort\":\"low\",\"thinking\":{\"type\":\"disabled\"},\"output_config\":{\"effort\":\"max\"}")).Body);

    [Fact]
    public void C12_a_schema_is_the_form_of_the_output() => HasMembers(
        """{"output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object","properties":{}}}},"response_format":null}""",
        Translate(Ask(",\"reasoning_effort\":\"low\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\",\"properties\":{}}}}")).Body);

    [Fact]
    public void F_tools_keep_their_schemas() => HasMembers(
        """
        {"tools":[
          {"name":"a","description":"d","input_schema":{"type":"object","properties":{"x":{"type":"string"}},"required":["x"]},"strict":true,"cache_control":{"type":"ephemeral"}},
          {"name":"b","input_schema":{"type":"object","properties":{}}},
          {"name":"c","input_schema":{"type":"object","additionalProperties":false}}],
         "tool_choice":null}
        """,
        Translate(Ask("""
            ,"tools":[
              {"type":"function","function":{"name":"a","description":"d","parameters":{"type":"object","properties":{"x":{"type":"string"}},"required":["x"]},"strict":true},"cache_control":{"type":"ephemeral"}},
              {"type":"function","function":{"name":"b","description":"","strict":false}},
              {"type":"function","function":{"name":"c","parameters":{"additionalProperties":false}}}]
            """)).Body);

    [Theory]
    [InlineData(",\"tool_choice\":\"none\"", """{"type":"none"}""")]
    [InlineData(",\"tool_choice\":\"auto\"", """{"type":"auto"}""")]
    [InlineData(",\"tool_choice\":\"required\"", """{"type":"any"}""")]
    [InlineData(",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}", """{"type":"auto"}""")]
    [InlineData(",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}", """{"type":"any"}""")]
    [InlineData(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}", """{"type":"tool","name":"f"}""")]
    [InlineData(",\"parallel_tool_calls\":false", """{"type":"auto","disable_parallel_tool_use":true}""")]
    [InlineData(",\"parallel_tool_calls\":false,\"tool_choice\":\"required\"", """{"type":"any","disable_parallel_tool_use":true}""")]
    [InlineData(",\"parallel_tool_calls\":false,\"tool_choice\":\"none\"", """{"type":"none"}""")]
    [InlineData(",\"parallel_tool_calls\":true", "null")]
    public void F10_F11_a_choice_among_tools_is_said_in_its_words(string more, string expected) =>
        HasMembers($$"""{"tool_choice":{{expected}},"parallel_tool_calls":null}""", Translate(Ask(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]" + more)).Body);

    private const string Instructed = """
        [{"role":"system","content":"One"},{"role":"developer","content":[{"type":"text","text":"Two","cache_control":{"type":"ephemeral"}},{"type":"text","text":" "}]},
         {"role":"user","content":"Hi"},{"role":"system","content":" "},{"role":"assistant","content":"Ho "},
         {"role":"developer","content":[{"type":"text","text":"Three","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Four"}]},{"role":"system","content":"Five"},
         {"role":"user","name":"Bob","content":"And?"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
         {"role":"tool","tool_call_id":"c","content":"x"},{"role":"system","content":"Six"}]
        """;

    [Theory]
    [InlineData(false, """
        [{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"type":"text","text":"Ho "}]},
         {"role":"system","content":[{"type":"text","text":"Three","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Four"},{"type":"text","text":"Five"}]},
         {"role":"user","content":[{"type":"text","text":"And?"}]},{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},
         {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"x"}]},{"role":"system","content":[{"type":"text","text":"Six"}]}]
        """)]
    [InlineData(true, """
        [{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"type":"text","text":"Ho "}]},
         {"role":"user","content":[{"type":"text","text":"Three","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Four"},{"type":"text","text":"Five"},{"type":"text","text":"And?"}]},
         {"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},
         {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"x"},{"type":"text","text":"Six"}]}]
        """)]
    public void Instructions_before_the_first_turn_stand_apart_and_later_ones_in_their_place(bool isOlder, string messages) => HasMembers(
        $$$"""{"system":[{"type":"text","text":"One"},{"type":"text","text":"Two","cache_control":{"type":"ephemeral"}}],"messages":{{{messages}}}}""",
        Translate(Ask("", Instructed), takesSampling: isOlder).Body);

    [Fact]
    public void F12_a_conversation_with_tools_takes_turns() => HasMembers(
        """
        {"messages":[
          {"role":"user","content":[{"type":"text","text":"Weather?"}]},
          {"role":"assistant","content":[
            {"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"I look."},
            {"type":"tool_use","id":"call_1","name":"f","input":{"x":[1.50,"\u00fc"]}},{"type":"tool_use","id":"functions_g_1","name":"g","input":{}}]},
          {"role":"user","content":[
            {"type":"tool_result","tool_use_id":"call_1","content":"sunny"},
            {"type":"tool_result","tool_use_id":"functions_g_1","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"https://x/y.png"}}]},
            {"type":"text","text":"And?"}]},
          {"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},
          {"role":"user","content":[{"type":"tool_result","tool_use_id":"c"}]}],
         "sluice":null}
        """,
        Translate(Ask("", """
            [{"role":"user","content":"Weather?"},
             {"role":"assistant","content":"I look.","refusal":null,"annotations":[],"audio":null,"reasoning_content":"hm","sluice":{"thinking":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text"},1]},
              "tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":[1.50,\"\\u00fc\"]}"}},{"id":"functions.g:1","type":"function","function":{"name":"g","arguments":""}}]},
             {"role":"tool","tool_call_id":"call_1","content":"sunny"},
             {"role":"tool","tool_call_id":"functions.g:1","content":[{"type":"text","text":"a"},{"type":"text","text":""},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]},
             {"role":"user","content":"And?"},
             {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
             {"role":"tool","tool_call_id":"c","content":""}]
            """)).Body);

    [Fact]
    public void Empty_texts_and_messages_are_left_out() => HasMembers(
        """{"system":null,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"Ho"}]}]}""",
        Translate(Ask("", """
            [{"role":"system","content":""},{"role":"user","content":"Hi"},{"role":"assistant","content":""},{"role":"user","content":[{"type":"text","text":"\n"},{"type":"text","text":"Ho"}]}]
            """)).Body);

    [Fact]
    public void An_assistants_last_message_begins_the_answer_without_white_space_at_its_end() => HasMembers(
        """
        {"messages":[{"role":"user","content":[{"type":"text","text":"Hi "}]},{"role":"assistant","content":[{"type":"text","text":"No. "}]},
          {"role":"user","content":[{"type":"text","text":"Why"}]},{"role":"assistant","content":[{"type":"text","text":"Because "},{"type":"text","text":"of"}]}]}
        """,
        Translate(Ask("", """
            [{"role":"user","content":"Hi "},{"role":"assistant","content":null,"refusal":"No. "},{"role":"user","content":"Why"},
             {"role":"assistant","content":[{"type":"text","text":"Because "},{"type":"text","text":"of \n"}]},{"role":"system","content":" "}]
            """)).Body);

    [Fact]
    public void Images_and_PDF_files_are_blocks() => HasMembers(
        """
        {"messages":[{"role":"user","content":[
          {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO+/="}},
          {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AA"},"cache_control":{"type":"ephemeral"}},
          {"type":"image","source":{"type":"url","url":"https://x/y.png?a=b&c"}},
          {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"},"title":"a.pdf"}]}]}
        """,
        Translate(Ask("", """
            [{"role":"user","content":[
              {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO+/=","detail":"low"}},
              {"type":"image_url","image_url":{"url":"DATA:image/JPG;name=a;base64,AA"},"cache_control":{"type":"ephemeral"}},
              {"type":"image_url","image_url":{"url":"https://x/y.png?a=b&c"}},
              {"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE","filename":"a.pdf"}}]}]
            """)).Body);

    [Theory]
    [InlineData(",\"n\":2", "n", "unsupported_value")]
    [InlineData(",\"logprobs\":true", "logprobs", "unsupported_parameter")]
    [InlineData(",\"guided_regex\":\"a\"", "guided_regex", "unsupported_parameter")]
    [InlineData(",\"structured_outputs\":{\"choice\":[\"a\"]}", "structured_outputs.choice", "unsupported_parameter")]
    [InlineData(",\"logit_bias\":{\"1\":1}", "logit_bias", "unsupported_parameter")]
    [InlineData(",\"presence_penalty\":0.5", "presence_penalty", "unsupported_parameter")]
    [InlineData(",\"frequency_penalty\":-1", "frequency_penalty", "unsupported_parameter")]
    [InlineData(",\"min_p\":0.1", "min_p", "unsupported_parameter")]
    [InlineData(",\"repetition_penalty\":1.1", "repetition_penalty", "unsupported_parameter")]
    [InlineData(",\"stop\":[\"a\",\"\\n\"]", "stop", "unsupported_value")]
    [InlineData(",\"modalities\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"x\",\"format\":\"wav\"}", "modalities", "unsupported_parameter")]
    [InlineData(",\"web_search_options\":{}", "web_search_options", "unsupported_parameter")]
    [InlineData(",\"system\":\"x\"", "system", "unsupported_parameter")]
    [InlineData(",\"functions\":[{\"name\":\"f\"}]", "functions", "unsupported_parameter")]
    [InlineData(",\"response_format\":{\"type\":\"json_object\"}", "response_format", "unsupported_value")]
    [InlineData(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\"}}", "response_format.json_schema.schema", "missing_required_parameter")]
    [InlineData(",\"output_config\":{},\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{}}}", "response_format", "unsupported_parameter")]
    [InlineData(",\"reasoning_effort\":\"lots\"", "reasoning_effort", "invalid_value")]
    public void What_it_has_no_word_for_is_refused_by_name(string more, string param, string code)
    {
        var error = Translate(Ask(more)).Error;
        Assert.Equal((400, ApiErrors.InvalidRequestType, param, code), (error?.Status, error?.Type, error?.Param, error?.Code));
    }

    [Theory]
    [InlineData("""[{"role":"system","content":"x"}]""", "messages")]
    [InlineData("""[{"role":"user","content":" "}]""", "messages")]
    [InlineData("""[{"role":"system","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x"}}]},{"role":"user","content":"x"}]""", "messages[0].content[1].type")]
    [InlineData("""[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]""", "messages[0].content[0].type")]
    [InlineData("""[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y.png"}}]}]""", "messages[0].content[0].image_url.url")]
    [InlineData("""[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/bmp;base64,AA"}}]}]""", "messages[0].content[0].image_url.url")]
    [InlineData("""[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,AA"}}]}]""", "messages[0].content[0].image_url.url")]
    [InlineData("""[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]""", "messages[0].content[0].image_url.url")]
    [InlineData("""[{"role":"user","content":[{"type":"file","file":{"file_id":"f-1"}}]}]""", "messages[0].content[0].file.file_data")]
    [InlineData("""[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"image_url","image_url":{"url":"https://x"}}]}]""", "messages[1].content[0].type")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":"}}]},{"role":"tool","tool_call_id":"a","content":"x"}]""", "messages[0].tool_calls[0].function.arguments")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"[1]"}}]},{"role":"tool","tool_call_id":"a","content":"x"}]""", "messages[0].tool_calls[0].function.arguments")]
    [InlineData("""[{"role":"user","content":"x"},{"role":"function","name":"f","content":"x"}]""", "messages[1].role")]
    public void A_message_that_it_cannot_take_is_refused_with_its_place(string messages, string param)
    {
        var error = Translate(Ask("", messages)).Error;
        Assert.Equal((400, param), (error?.Status, error?.Param));
        Assert.NotNull(error!.Code);
    }
}
