using System.Text;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.ServerSentEvents;
using Xunit;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>What becomes of members that only some servers have, when a stream is folded: as OpenAI's SDKs put them together, and nothing is lost.</summary>
public sealed class FoldedMembersTests
{
    private static JsonElement Fold(params string[] chunkMembers)
    {
        var fold = new ChatCompletionFold();
        foreach (var members in chunkMembers) fold.Add(Encoding.UTF8.GetBytes($"data: {{\"id\":\"i\",\"created\":1,\"model\":\"m\",{members}}}\n\n"));
        fold.Add("data: {\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"u8);
        var output = new EventBuffer();
        fold.WriteTo(output);
        return JsonElement.Parse(Encoding.UTF8.GetString(output.WrittenSpan));
    }

    private static JsonElement FoldDeltas(params string[] deltas) =>
        Fold([.. deltas.Select(delta => $"\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]")]).GetProperty("choices")[0].GetProperty("message");

    private static void AssertMember(JsonElement owner, string name, string json) => Assert.Equal(json, owner.GetProperty(name).GetRawText());

    [Fact]
    public void Reasoning_details_are_one_entry_for_each_type_and_index() => AssertMember(
        FoldDeltas(
            """{"reasoning_details":[{"type":"reasoning.text","index":0,"text":"Let"}]}""",
            """{"reasoning_details":[{"type":"reasoning.summary","index":0,"summary":"A"}]}""",
            """{"reasoning_details":[{"type":"reasoning.text","index":0,"text":" me"},{"type":"reasoning.text","index":1,"text":"x"}]}""",
            """{"reasoning_details":[{"type":"reasoning.summary","index":0,"summary":"B"},{"type":"reasoning.text","index":0,"signature":"s"}]}"""),
        "reasoning_details",
        """[{"type":"reasoning.text","index":0,"text":"Let me","signature":"s"},{"type":"reasoning.summary","index":0,"summary":"AB"},{"type":"reasoning.text","index":1,"text":"x"}]""");

    [Fact]
    public void Audio_is_joined_member_by_member() => AssertMember(
        FoldDeltas("""{"audio":{"id":"a","transcript":"Hel"}}""", """{"audio":{"data":"AAAA"}}""", """{"audio":{"id":"a","transcript":"lo","data":"BBBB"}}""", """{"audio":{"expires_at":9}}"""),
        "audio",
        """{"id":"a","transcript":"Hello","data":"AAAABBBB","expires_at":9}""");

    [Fact]
    public void Lists_without_indexes_are_continued_and_cumulative_ones_are_not_multiplied()
    {
        var message = FoldDeltas("""{"images":[1],"citations":["a"]}""", """{"images":[2],"citations":["a","b"]}""", """{"citations":["a","b"]}""");
        AssertMember(message, "images", "[1,2]");
        AssertMember(message, "citations", """["a","b"]""");
    }

    [Fact]
    public void Outside_of_a_delta_the_last_text_counts()
    {
        var completion = Fold(
            """ "choices":[],"request_id":"r","created_at":"1","citations":["a"] """,
            """ "choices":[],"request_id":"r","created_at":"2","citations":["a"],"provider":null """);
        AssertMember(completion, "request_id", "\"r\"");
        AssertMember(completion, "created_at", "\"2\"");
        AssertMember(completion, "citations", """["a"]""");
    }

    [Fact]
    public void Members_of_calls_are_kept()
    {
        var message = FoldDeltas(
            """{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\"","strict":true},"extra_content":{"google":{"thought_signature":"s"}}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}""");
        AssertMember(
            message,
            "tool_calls",
            """[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}","strict":true},"extra_content":{"google":{"thought_signature":"s"}}}]""");
    }

    [Fact]
    public void A_pair_of_surrogates_in_two_chunks_is_one_character()
    {
        var message = FoldDeltas("""{"content":"a\ud83d","thought":"\ud83d"}""", """{"content":"\ude00\n","thought":"\ude00"}""", """{"content":"\ud83d"}""");
        Assert.Equal("a\U0001F600\n\uFFFD", message.GetProperty("content").GetString());
        Assert.Equal("\U0001F600", message.GetProperty("thought").GetString());
    }

    [Fact]
    public void Older_log_probabilities_are_joined()
    {
        var choice = Fold(
            """ "choices":[{"index":0,"delta":{"content":"a"},"token_ids":[7],"logprobs":{"tokens":["a"],"token_logprobs":[-1]}}] """,
            """ "choices":[{"index":0,"delta":{"content":"a"},"token_ids":[7],"logprobs":{"tokens":["a"],"token_logprobs":[-1]}}] """).GetProperty("choices")[0];
        AssertMember(choice, "logprobs", """{"content":null,"refusal":null,"tokens":["a","a"],"token_logprobs":[-1,-1]}""");
        AssertMember(choice, "token_ids", "[7,7]");
    }
}
