namespace Sluice.Tests.Server.Endpoints;

/// <summary>The same requests in each vendor's words, written by hand from their references.</summary>
internal static class DoorRequests
{
    private const string Schema = """{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}""";
    private const string Image = "data:image/png;base64,iVBORw0KGgo=";

    /// <summary>What all of them are asked in.</summary>
    public static readonly string[] Situations = ["text", "call", "two calls", "result", "image", "schema", "length", "refusal", "error"];

    /// <summary>The body of a request.</summary>
    /// <param name="dialect">Of the client.</param>
    /// <param name="situation">One of <see cref="Situations"/>.</param>
    /// <param name="isStream">Whether events are asked for.</param>
    public static string Write(string dialect, string situation, bool isStream)
    {
        var members = dialect switch { "chat" => Chat(situation), "responses" => Responses(situation), _ => Messages(situation) };
        return $$"""{"model":"m","stream":{{(isStream ? "true" : "false")}},{{members}}}""";
    }

    /// <summary>What an upstream of any dialect is to understand of it.</summary>
    /// <param name="situation">One of <see cref="Situations"/>.</param>
    public static string[] Meaning(string situation) => situation switch
    {
        "call" or "two calls" => ["system Be brief.", "user Hi", $"tool f {Schema}"],
        "result" => ["system Be brief.", "user Hi", """call c1 f {"x":1}""", "call c2 f {\"x\":2}", "result c1 18", "result c2 19", "user And?", $"tool f {Schema}"],
        "image" => ["system Be brief.", "user Look:", $"image {Image}"],
        "schema" => ["system Be brief.", "user Hi", $"format {Schema}"],
        _ => ["system Be brief.", "user Hi"],
    };

    private static string Chat(string situation)
    {
        const string System = """{"role":"system","content":"Be brief."}""";
        const string Hi = """{"role":"user","content":"Hi"}""";
        const string Tools = $$$""","tools":[{"type":"function","function":{"name":"f","parameters":{{{Schema}}}}}]""";
        const string Results =
            """
            ,{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"c2","type":"function","function":{"name":"f","arguments":"{\"x\":2}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"18"},{"role":"tool","tool_call_id":"c2","content":"19"},{"role":"user","content":"And?"}
            """;
        return situation switch
        {
            "call" or "two calls" => $"\"messages\":[{System},{Hi}]{Tools}",
            "result" => $"\"messages\":[{System},{Hi}{Results}]{Tools}",
            "image" => $$$"""
                "messages":[{{{System}}},{"role":"user","content":[{"type":"text","text":"Look:"},{"type":"image_url","image_url":{"url":"{{{Image}}}"}}]}]
                """,
            "schema" => $$$"""
                "messages":[{{{System}}},{{{Hi}}}],"response_format":{"type":"json_schema","json_schema":{"name":"output","strict":true,"schema":{{{Schema}}}}}
                """,
            _ => $"\"messages\":[{System},{Hi}]",
        };
    }

    private static string Responses(string situation)
    {
        const string Hi = """{"role":"user","content":"Hi"}""";
        const string Tools = $$""","tools":[{"type":"function","name":"f","parameters":{{Schema}},"strict":false}]""";
        const string Results =
            """
            ,{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"x\":1}"},{"type":"function_call","call_id":"c2","name":"f","arguments":"{\"x\":2}"},
            {"type":"function_call_output","call_id":"c1","output":"18"},{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"19"}]},{"role":"user","content":"And?"}
            """;
        return "\"instructions\":\"Be brief.\"," + situation switch
        {
            "call" or "two calls" => $"\"input\":\"Hi\"{Tools}",
            "result" => $"\"input\":[{Hi}{Results}]{Tools}",
            "image" => $$"""
                "input":[{"role":"user","content":[{"type":"input_text","text":"Look:"},{"type":"input_image","image_url":"{{Image}}"}]}]
                """,
            "schema" => $$$"""
                "input":"Hi","text":{"format":{"type":"json_schema","name":"output","strict":true,"schema":{{{Schema}}}}}
                """,
            _ => "\"input\":\"Hi\"",
        };
    }

    private static string Messages(string situation)
    {
        const string Hi = """{"role":"user","content":"Hi"}""";
        const string Tools = $$""","tools":[{"name":"f","input_schema":{{Schema}}}]""";
        const string Results =
            """
            ,{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"x":1}},{"type":"tool_use","id":"c2","name":"f","input":{"x":2}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"18"},{"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"19"}]},{"type":"text","text":"And?"}]}
            """;
        return "\"max_tokens\":50,\"system\":[{\"type\":\"text\",\"text\":\"Be brief.\"}]," + situation switch
        {
            "call" or "two calls" => $"\"messages\":[{Hi}]{Tools}",
            "result" => $"\"messages\":[{Hi}{Results}]{Tools}",
            "image" => $$$"""
                "messages":[{"role":"user","content":[{"type":"text","text":"Look:"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"{{{Image[(Image.IndexOf(',', StringComparison.Ordinal) + 1)..]}}}"}}]}]
                """,
            "schema" => $$$"""
                "messages":[{{{Hi}}}],"output_config":{"format":{"type":"json_schema","schema":{{{Schema}}}}}
                """,
            _ => $"\"messages\":[{Hi}]",
        };
    }
}
