namespace Sluice.Testing;

/// <summary>Events of OpenAI's Responses API, in the form that its SDK's types give, for a <see cref="ScriptedUpstream"/> to say.</summary>
public static class ScriptedResponses
{
    private const string DefaultUsage =
        """{"input_tokens":25,"input_tokens_details":{"cached_tokens":5,"cache_write_tokens":3},"output_tokens":15,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":40}""";

    /// <summary>The object of a response.</summary>
    /// <param name="status">Such as <c>in_progress</c>.</param>
    /// <param name="output">Its items, as JSON.</param>
    /// <param name="usage">As JSON.</param>
    /// <param name="error">As JSON.</param>
    /// <param name="incomplete">The object <c>incomplete_details</c>.</param>
    public static string Response(string status, string output = "", string usage = "null", string error = "null", string incomplete = "null") =>
        $$$"""{"id":"resp_up","object":"response","created_at":1700000000,"status":"{{{status}}}","background":false,"error":{{{error}}},"incomplete_details":{{{incomplete}}},"instructions":null,"max_output_tokens":null,"metadata":{},"model":"gpt-x-2026","output":[{{{output}}}],"parallel_tool_calls":true,"previous_response_id":null,"store":false,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{{{usage}}}}""";

    /// <summary>The first two events.</summary>
    public static string[] Start() =>
        [$$"""{"type":"response.created","sequence_number":0,"response":{{Response("in_progress")}}}""", $$"""{"type":"response.in_progress","sequence_number":0,"response":{{Response("in_progress")}}}"""];

    /// <summary>The beginning of an item.</summary>
    public static string Added(int index, string item) => $$$"""{"type":"response.output_item.added","sequence_number":0,"output_index":{{{index}}},"item":{{{item}}}}""";

    /// <summary>The end of an item.</summary>
    public static string Done(int index, string item) => $$$"""{"type":"response.output_item.done","sequence_number":0,"output_index":{{{index}}},"item":{{{item}}}}""";

    /// <summary>A piece of something.</summary>
    /// <param name="type">Without <c>response.</c> and <c>.delta</c>.</param>
    /// <param name="index">The item's.</param>
    /// <param name="delta">Escaped by the caller.</param>
    /// <param name="more">Further members, each with a comma before it.</param>
    public static string Delta(string type, int index, string delta, string more = "") =>
        $$"""{"type":"response.{{type}}.delta","sequence_number":0,"item_id":"item_{{index}}","output_index":{{index}},"delta":"{{delta}}"{{more}}}""";

    /// <summary>A piece of text, escaped by the caller.</summary>
    public static string Text(string text, int index = 0) => Delta("output_text", index, text, ",\"content_index\":0,\"logprobs\":[],\"obfuscation\":\"x7K\"");

    /// <summary>An item of a message.</summary>
    public static string MessageItem(int index, string text, string status = "completed") =>
        $$$"""{"id":"item_{{{index}}}","type":"message","status":"{{{status}}}","role":"assistant","content":[{"type":"output_text","text":"{{{text}}}","annotations":[],"logprobs":[]}]}""";

    /// <summary>A whole message with all its events.</summary>
    public static string[] Message(int index, params string[] texts)
    {
        var text = string.Concat(texts);
        const string Part = ",\"content_index\":0";
        return
        [
            Added(index, $$"""{"id":"item_{{index}}","type":"message","status":"in_progress","role":"assistant","content":[]}"""),
            $$$"""{"type":"response.content_part.added","sequence_number":0,"item_id":"item_{{{index}}}","output_index":{{{index}}}{{{Part}}},"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}""",
            .. texts.Select(piece => Text(piece, index)),
            $$"""{"type":"response.output_text.done","sequence_number":0,"item_id":"item_{{index}}","output_index":{{index}}{{Part}},"text":"{{text}}","logprobs":[]}""",
            $$$"""{"type":"response.content_part.done","sequence_number":0,"item_id":"item_{{{index}}}","output_index":{{{index}}}{{{Part}}},"part":{"type":"output_text","text":"{{{text}}}","annotations":[],"logprobs":[]}}""",
            Done(index, MessageItem(index, text)),
        ];
    }

    /// <summary>An item of a call.</summary>
    public static string CallItem(int index, string id, string name, string arguments, string status = "completed") =>
        $$"""{"id":"item_{{index}}","type":"function_call","status":"{{status}}","call_id":"{{id}}","name":"{{name}}","arguments":"{{arguments}}"}""";

    /// <summary>A whole call with all its events.</summary>
    public static string[] CallOf(int index, string id, string name, params string[] arguments)
    {
        var whole = string.Concat(arguments);
        return
        [
            Added(index, CallItem(index, id, name, "", "in_progress")),
            .. arguments.Select(piece => Delta("function_call_arguments", index, piece)),
            $$"""{"type":"response.function_call_arguments.done","sequence_number":0,"item_id":"item_{{index}}","output_index":{{index}},"arguments":"{{whole}}"}""",
            Done(index, CallItem(index, id, name, whole)),
        ];
    }

    /// <summary>An item of reasoning.</summary>
    public static string ReasoningItem(int index, string summary, string content = "ZW5j") =>
        $$$"""{"id":"item_{{{index}}}","type":"reasoning","summary":[{"type":"summary_text","text":"{{{summary}}}"}],"encrypted_content":"{{{content}}}"}""";

    /// <summary>A whole piece of reasoning with its events.</summary>
    public static string[] Reasoning(int index, params string[] texts) =>
    [
        Added(index, $$"""{"id":"item_{{index}}","type":"reasoning","summary":[],"encrypted_content":null}"""),
        $$$"""{"type":"response.reasoning_summary_part.added","sequence_number":0,"item_id":"item_{{{index}}}","output_index":{{{index}}},"summary_index":0,"part":{"type":"summary_text","text":""}}""",
        .. texts.Select(text => Delta("reasoning_summary_text", index, text, ",\"summary_index\":0")),
        Done(index, ReasoningItem(index, string.Concat(texts))),
    ];

    /// <summary>The last event.</summary>
    /// <param name="output">The items, as JSON; some servers leave them out.</param>
    public static string Completed(string output = "") => $$"""{"type":"response.completed","sequence_number":0,"response":{{Response("completed", output, DefaultUsage)}}}""";

    /// <summary>The last event of an answer that is cut short.</summary>
    public static string Incomplete(string reason) =>
        $$"""{"type":"response.incomplete","sequence_number":0,"response":{{Response("incomplete", "", DefaultUsage, incomplete: $$"""{"reason":"{{reason}}"}""")}}}""";

    /// <summary>The last event of an answer that fails.</summary>
    public static string Failed(string code, string message) =>
        $$"""{"type":"response.failed","sequence_number":0,"response":{{Response("failed", error: $$"""{"code":"{{code}}","message":"{{message}}"}""")}}}""";

    /// <summary>The events as they stand on the wire, each with its name, and numbered from 0.</summary>
    public static string Frame(params string[] events) => string.Concat(Number(events).Select(data => $"event: {NameOf(data)}\ndata: {data}\n\n"));

    /// <summary>The same events with numbers from 0.</summary>
    public static IEnumerable<string> Number(IEnumerable<string> events) =>
        events.Select((data, number) => data.Replace("\"sequence_number\":0", $"\"sequence_number\":{number}", StringComparison.Ordinal));

    /// <summary>An answer of the given events.</summary>
    public static Func<UpstreamReply, Task> Events(params string[] events) => async reply =>
    {
        foreach (var data in Number(events)) await reply.SendAsync($"event: {NameOf(data)}\ndata: {data}\n\n");
    };

    /// <summary>A whole answer of one message.</summary>
    public static Func<UpstreamReply, Task> Says(params string[] texts) => Events([.. Start(), .. Message(0, texts), Completed(MessageItem(0, string.Concat(texts)))]);

    private static string NameOf(string data)
    {
        var start = data.IndexOf(":\"", StringComparison.Ordinal) + 2;
        return data[start..data.IndexOf('"', start)];
    }
}
