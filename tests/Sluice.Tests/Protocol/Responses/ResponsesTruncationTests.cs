using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Responses;
using Xunit;

namespace Sluice.Tests.Protocol.Responses;

/// <summary>Conversations that are longer than a context, and which items of them go.</summary>
public sealed class ResponsesTruncationTests
{
    private static string Message(string role, string text) => $$"""{"role":"{{role}}","content":"{{text}}"}""";

    private static string Call(string id) => $$"""{"type":"function_call","call_id":"{{id}}","name":"f","arguments":"{}"}""";

    private static string Result(string id, string text) => $$"""{"type":"function_call_output","call_id":"{{id}}","output":"{{text}}"}""";

    private static readonly string s_long = new('x', 1000);

    private static JsonNode? Shorten(string items, string message, string more = ",\"truncation\":\"auto\"")
    {
        var body = Encoding.UTF8.GetBytes($$"""{"model":"m","input":{{items}}{{more}}}""");
        return ResponsesDialect.Instance.Shorten(body, ApiErrors.ServerError(message)) is { } shorter ? JsonNode.Parse(shorter.Span) : null;
    }

    // Each item by its role or call, and the end of its text.
    private static string Outline(JsonNode body) => string.Join(' ', body["input"]!.AsArray().Select(item =>
        (string?)item!["call_id"] is { } id ? ((string?)item["type"] == "function_call" ? "call-" : "result-") + id : $"{item["role"]}-{((string)item["content"]!).TrimStart('x')}"));

    private static string Conversation => "[" + string.Join(',',
        Message("developer", s_long + "rules"), Message("user", s_long + "1"), Message("assistant", s_long + "2"), Call("a"), Call("b"),
        Result("b", s_long), Message("developer", s_long + "more"), Result("a", s_long), Message("user", s_long + "3"), Message("assistant", s_long + "4"),
        Message("user", s_long + "5"), Call("c"), Result("c", s_long)) + "]";

    [Theory]
    // A quarter, for nobody says how much.
    [InlineData("The prompt is too long.", "developer-rules call-b result-b developer-more user-3 assistant-4 user-5 call-c result-c")]
    [InlineData("Your input exceeds the context window (gpt-4.1).", "developer-rules call-b result-b developer-more user-3 assistant-4 user-5 call-c result-c")]
    // 1 % and the room of an answer.
    [InlineData("This model's maximum context length is 10000 tokens. However, you requested 10100 tokens.", "developer-rules call-a call-b result-b developer-more result-a user-3 assistant-4 user-5 call-c result-c")]
    [InlineData("prompt is too long: 20000 tokens > 10000 maximum", "developer-rules developer-more user-5 call-c result-c")]
    public void The_oldest_items_go_and_instructions_the_last_question_and_its_calls_stay(string message, string left)
    {
        var shorter = Shorten(Conversation, message)!;
        Assert.Equal(left, Outline(shorter));
        Assert.Equal(13 - shorter["input"]!.AsArray().Count, (int)shorter["sluice"]!["dropped_items"]!);
    }

    [Fact]
    public void What_is_still_too_long_loses_more_until_nothing_can_go()
    {
        var (body, dropped) = (Encoding.UTF8.GetBytes($$"""{"model":"m","truncation":"auto","input":{{Conversation}}}"""), 0);
        while (ResponsesDialect.Instance.Shorten(body, ApiErrors.ServerError("too long")) is { } shorter)
        {
            body = shorter.ToArray();
            var now = (int)JsonNode.Parse(body)!["sluice"]!["dropped_items"]!;
            Assert.True(now > dropped);
            dropped = now;
        }
        Assert.Equal("developer-rules developer-more user-5 call-c result-c", Outline(JsonNode.Parse(body)!));
        Assert.Equal(8, dropped);
    }

    [Theory]
    [InlineData("\"text\"", ",\"truncation\":\"auto\"")]
    [InlineData("[]", ",\"truncation\":\"auto\"")]
    [InlineData("[1,{\"role\":\"user\",\"content\":\"\"}]", ",\"truncation\":\"auto\"")]
    [InlineData("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]", "")]
    [InlineData("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]", ",\"truncation\":\"disabled\"")]
    public void What_may_not_or_cannot_be_shortened_is_left_to_be_refused(string items, string more) => Assert.Null(Shorten(items, "too long", more));
}
