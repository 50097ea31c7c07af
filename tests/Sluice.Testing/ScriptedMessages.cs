namespace Sluice.Testing;

/// <summary>Events of Anthropic's Messages API, in the form that its documentation gives, for a <see cref="ScriptedUpstream"/> to say.</summary>
public static class ScriptedMessages
{
    /// <summary>The event that ends an answer.</summary>
    public const string Stop = """{"type":"message_stop"}""";

    /// <summary>The first event.</summary>
    /// <param name="usage">Further members of the usage, each with a comma before it.</param>
    public static string Start(string usage = "") =>
        $$$"""{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1{{{usage}}} } } }""";

    /// <summary>The beginning of a block.</summary>
    public static string Block(int index, string block) => $$$"""{"type":"content_block_start","index":{{{index}}},"content_block":{{{block}}}}""";

    /// <summary>The end of a block.</summary>
    public static string End(int index) => $$"""{"type":"content_block_stop","index":{{index}}}""";

    /// <summary>A piece of a block.</summary>
    public static string Delta(int index, string delta) => $$$"""{"type":"content_block_delta","index":{{{index}}},"delta":{{{delta}}}}""";

    /// <summary>A piece of text, escaped by the caller.</summary>
    public static string Text(string text, int index = 0) => Delta(index, $$"""{"type":"text_delta","text":"{{text}}"}""");

    /// <summary>A piece of a call's arguments, escaped by the caller.</summary>
    public static string Json(string json, int index = 1) => Delta(index, $$"""{"type":"input_json_delta","partial_json":"{{json}}"}""");

    /// <summary>A whole block of text.</summary>
    public static string[] TextBlock(int index, params string[] texts) =>
        [Block(index, """{"type":"text","text":""}"""), .. texts.Select(text => Text(text, index)), End(index)];

    /// <summary>A whole call of a tool.</summary>
    public static string[] ToolBlock(int index, string id, string name, params string[] json) =>
        [Block(index, $$$"""{"type":"tool_use","id":"{{{id}}}","name":"{{{name}}}","input":{}}"""), .. json.Select(piece => Json(piece, index)), End(index)];

    /// <summary>Why the answer ended, and what it took.</summary>
    /// <param name="reason">Such as <c>end_turn</c>.</param>
    /// <param name="usage">Further members of the usage, each with a comma before it.</param>
    public static string Finish(string reason = "end_turn", string usage = "") =>
        $$$"""{"type":"message_delta","delta":{"stop_reason":"{{{reason}}}","stop_sequence":null},"usage":{"output_tokens":15{{{usage}}} } }""";

    /// <summary>An error in place of the next event.</summary>
    public static string Error(string type, string message) => $$$"""{"type":"error","error":{"type":"{{{type}}}","message":"{{{message}}}"},"request_id":"req_1"}""";

    /// <summary>The events as they stand on the wire, each with its name.</summary>
    public static string Frame(params string[] events) => string.Concat(events.Select(data => $"event: {NameOf(data)}\ndata: {data}\n\n"));

    /// <summary>An answer of the given events and a ping.</summary>
    public static Func<UpstreamReply, Task> Events(params string[] events) => async reply =>
    {
        foreach (var data in events)
        {
            await reply.SendAsync(Frame(data));
            if (data.StartsWith("""{"type":"message_start""", StringComparison.Ordinal)) await reply.SendAsync(Frame("""{"type":"ping"}"""));
        }
    };

    /// <summary>A whole answer of one block of text.</summary>
    public static Func<UpstreamReply, Task> Says(params string[] texts) => Events([Start(), .. TextBlock(0, texts), Finish(), Stop]);

    private static string NameOf(string data)
    {
        var start = data.IndexOf(":\"", StringComparison.Ordinal) + 2;
        return data[start..data.IndexOf('"', start)];
    }
}
