using Sluice.Testing;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>The same answers in each vendor's events, as its reference and its SDK's types have them.</summary>
internal static class DoorAnswers
{
    /// <summary>An upstream that gives the answer of a situation.</summary>
    /// <param name="dialect">Of the upstream.</param>
    /// <param name="situation">One of <see cref="DoorRequests.Situations"/>.</param>
    public static Func<UpstreamReply, Task> Of(string dialect, string situation) => dialect switch
    {
        "chat" => Chat(situation),
        "responses" => Responses(situation),
        _ => Messages(situation),
    };

    /// <summary>What a client of any dialect is to understand of it.</summary>
    /// <param name="situation">One of <see cref="DoorRequests.Situations"/>.</param>
    /// <param name="upstream">Dialect of the upstream: they refuse each in its own way.</param>
    public static string[] Meaning(string situation, string upstream) => situation switch
    {
        "call" => ["""call f {"x":1}""", "end calls", "usage 25 15"],
        "two calls" => ["says Two.", """call f {"x":1}""", """call f {"x":2}""", "end calls", "usage 25 15"],
        "result" => ["thinks Hm", "says 18 and 19", "end stop", "usage 25 15"],
        "schema" => ["""says {"x":1}""", "end stop", "usage 25 15"],
        "length" => ["says Hel", "end length", "usage 25 15"],
        "refusal" => ["says No.", upstream == "messages" ? "end filter" : "end stop", "usage 25 15"],
        _ => ["says Hello", "end stop", "usage 25 15"],
    };

    private static Func<UpstreamReply, Task> Chat(string situation)
    {
        static string Delta(string delta) => ScriptedUpstream.Chunk($$$"""{"index":0,"delta":{{{{delta}}}},"logprobs":null,"finish_reason":null}""");
        static string Call(int index, string id) => Delta($"\"tool_calls\":[{{\"index\":{index},\"id\":\"{id}\",\"type\":\"function\",\"function\":{{\"name\":\"f\",\"arguments\":\"\"}}}}]");
        static string Arguments(int index, string json) => Delta($"\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":\"{json}\"}}}}]");
        string[] body = situation switch
        {
            "call" => [Call(0, "a"), Arguments(0, "{\\\"x\\\""), Arguments(0, ":1}"), ScriptedUpstream.Finish("tool_calls")],
            // Their pieces come interleaved.
            "two calls" => [ScriptedUpstream.Text("Two."), Call(0, "a"), Call(1, "b"), Arguments(1, "{\\\"x\\\":"), Arguments(0, "{\\\"x\\\":1}"), Arguments(1, "2}"), ScriptedUpstream.Finish("tool_calls")],
            "result" => [Delta("\"reasoning_content\":\"Hm\""), ScriptedUpstream.Text("18 and"), ScriptedUpstream.Text(" 19"), ScriptedUpstream.Finish()],
            "schema" => [ScriptedUpstream.Text("{\\\"x\\\":1}"), ScriptedUpstream.Finish()],
            "length" => [ScriptedUpstream.Text("Hel"), ScriptedUpstream.Finish("length")],
            "refusal" => [Delta("\"refusal\":\"No.\""), ScriptedUpstream.Finish()],
            _ => [ScriptedUpstream.Text("Hel"), ScriptedUpstream.Text("lo"), ScriptedUpstream.Finish()],
        };
        return situation == "error"
            ? Refuses("""{"error":{"message":"Slow down.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}""")
            : ScriptedUpstream.Frames([ScriptedUpstream.Role(), .. body, ScriptedUpstream.Usage(25, 15)]);
    }

    private static Func<UpstreamReply, Task> Responses(string situation)
    {
        const string Refusal = """{"id":"item_0","type":"message","status":"completed","role":"assistant","content":[{"type":"refusal","refusal":"No."}]}""";
        string[] body = situation switch
        {
            "call" => [.. ScriptedResponses.CallOf(0, "a", "f", "{\\\"x\\\"", ":1}"), ScriptedResponses.Completed()],
            "two calls" => [.. ScriptedResponses.Message(0, "Two."), .. ScriptedResponses.CallOf(1, "a", "f", "{\\\"x\\\":1}"), .. ScriptedResponses.CallOf(2, "b", "f", "{\\\"x\\\":2}"), ScriptedResponses.Completed()],
            "result" => [.. ScriptedResponses.Reasoning(0, "Hm"), .. ScriptedResponses.Message(1, "18 and", " 19"), ScriptedResponses.Completed()],
            "schema" => [.. ScriptedResponses.Message(0, "{\\\"x\\\":1}"), ScriptedResponses.Completed()],
            "length" => [.. ScriptedResponses.Message(0, "Hel"), ScriptedResponses.Incomplete("max_output_tokens")],
            "refusal" =>
            [
                ScriptedResponses.Added(0, """{"id":"item_0","type":"message","status":"in_progress","role":"assistant","content":[]}"""),
                ScriptedResponses.Delta("refusal", 0, "No.", ",\"content_index\":0"), ScriptedResponses.Done(0, Refusal), ScriptedResponses.Completed(Refusal),
            ],
            _ => [.. ScriptedResponses.Message(0, "Hel", "lo"), ScriptedResponses.Completed()],
        };
        return situation == "error"
            ? Refuses("""{"error":{"message":"Slow down.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}""")
            : ScriptedResponses.Events([.. ScriptedResponses.Start(), .. body]);
    }

    private static Func<UpstreamReply, Task> Messages(string situation)
    {
        string[] body = situation switch
        {
            "call" => [.. ScriptedMessages.ToolBlock(0, "a", "f", "", "{\\\"x\\\"", ":1}"), ScriptedMessages.Finish("tool_use")],
            "two calls" => [.. ScriptedMessages.TextBlock(0, "Two."), .. ScriptedMessages.ToolBlock(1, "a", "f", "{\\\"x\\\":1}"), .. ScriptedMessages.ToolBlock(2, "b", "f", "{\\\"x\\\":2}"), ScriptedMessages.Finish("tool_use")],
            "result" =>
            [
                ScriptedMessages.Block(0, """{"type":"thinking","thinking":"","signature":""}"""), ScriptedMessages.Delta(0, """{"type":"thinking_delta","thinking":"Hm"}"""),
                ScriptedMessages.Delta(0, """{"type":"signature_delta","signature":"c2ln"}"""), ScriptedMessages.End(0), .. ScriptedMessages.TextBlock(1, "18 and", " 19"), ScriptedMessages.Finish(),
            ],
            "schema" => [.. ScriptedMessages.TextBlock(0, "{\\\"x\\\":1}"), ScriptedMessages.Finish()],
            "length" => [.. ScriptedMessages.TextBlock(0, "Hel"), ScriptedMessages.Finish("max_tokens")],
            "refusal" => [.. ScriptedMessages.TextBlock(0, "No."), ScriptedMessages.Finish("refusal")],
            _ => [.. ScriptedMessages.TextBlock(0, "Hel", "lo"), ScriptedMessages.Finish()],
        };
        return situation == "error"
            ? Refuses("""{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."},"request_id":"req_1"}""")
            : ScriptedMessages.Events([ScriptedMessages.Start(), .. body, ScriptedMessages.Stop]);
    }

    private static Func<UpstreamReply, Task> Refuses(string body) => ScriptedUpstream.Refuses(429, body, ("Retry-After", "70"));
}
