using static Sluice.ConformanceTests.Tools.ToolBackEnds;

namespace Sluice.ConformanceTests.Tools;

/// <content>What OpenAI-compatible servers are known to send; whoever reads behind the hub sees none of it (E-25 to E-37, G-06).</content>
public static partial class ToolCallTable
{
    private static IEnumerable<ToolCallCase> Quirks()
    {
        yield return Quirk("E-25 id, type and name in every fragment", One,
            Head(0, "a"), """{"index":0,"id":"call_a","type":"function","function":{"name":"add","arguments":"{\"a\":"}}""",
            """{"index":0,"id":"call_a","type":"function","function":{"name":"add","arguments":"1}"}}""");
        yield return Quirk("E-26 id, type and name null after the first", One,
            Head(0, "a"), """{"index":0,"id":null,"type":null,"function":{"name":null,"arguments":"{\"a\":1}"}}""");
        yield return Quirk("E-27 no id", One, """{"index":0,"type":"function","function":{"name":"add","arguments":""}}""", More(0, "{\\\"a\\\":1}"));
        yield return Quirk("E-27 an empty id", One, """{"index":0,"id":"","type":"function","function":{"name":"add","arguments":""}}""", More(0, "{\\\"a\\\":1}"));
        yield return Quirk("E-28 no index", One,
            """{"id":"call_a","type":"function","function":{"name":"add","arguments":""}}""", """{"function":{"arguments":"{\"a\":1}"}}""");
        yield return Quirk("E-28 an index that is null", One,
            """{"index":null,"id":"call_a","type":"function","function":{"name":"add","arguments":""}}""", """{"index":null,"function":{"arguments":"{\"a\":1}"}}""");
        yield return Quirk("E-29 parallel calls all of index 0", Two, Head(0, "a"), More(0, "{\\\"a\\\":1}"), Head(0, "b"), More(0, "{\\\"a\\\":2}"));
        yield return Quirk("E-30 indexes from 1 with gaps", Two, Head(1, "a"), More(1, "{\\\"a\\\":1}"), Head(3, "b"), More(3, "{\\\"a\\\":2}"));
        yield return Quirk("E-31 two calls in one chunk", Two, Head(0, "a") + "," + Head(1, "b"), More(0, "{\\\"a\\\":1}") + "," + More(1, "{\\\"a\\\":2}"));
        yield return Quirk("E-32 fragments of two calls by turns", Two,
            Head(0, "a"), Head(1, "b"), More(0, "{\\\"a\\\":"), More(1, "{\\\"a\\\":"), More(1, "2}"), More(0, "1}"));
        yield return Quirk("E-33 empty lists of calls beside text", answer => answer.IsText("Hi"),
            "") with
        { Frames = [Sluice.Testing.ScriptedUpstream.Role(), ToolFrames.Delta("""{"content":"Hi","tool_calls":[]}"""), ToolFrames.Delta("""{"tool_calls":null}"""), Sluice.Testing.ScriptedUpstream.Finish()] };
        yield return Quirk("E-34 a fragment without a function", One, Head(0, "a"), """{"index":0}""", More(0, "{\\\"a\\\":1}"));
        yield return Quirk("E-35 arguments null in the head", One, """{"index":0,"id":"call_a","type":"function","function":{"name":"add","arguments":null}}""", More(0, "{\\\"a\\\":1}"));
        yield return Quirk("E-36 arguments as an object", answer => answer.IsCalls(("add", "{\"a\":1}")), """{"index":0,"id":"call_a","type":"function","function":{"name":"add","arguments":{"a":1}}}""");

        static void One(ToolAnswer answer) => answer.IsCalls(("add", "{\"a\":1}"));

        static void Two(ToolAnswer answer) => answer.IsCalls(("add", "{\"a\":1}"), ("add", "{\"a\":2}"));
    }

    private static ToolCallCase Quirk(string name, Action<ToolAnswer> check, params string[] fragments) =>
        new(name, check) { Request = Tools, Frames = ToolFrames.Calls(fragments), NotWith = [(Engine | Anthropic, OwnFrames)] };

    private static string Head(int index, string id) => $$"""{"index":{{index}},"id":"call_{{id}}","type":"function","function":{"name":"add","arguments":""} }""";

    private static string More(int index, string arguments) => $$"""{"index":{{index}},"function":{"arguments":"{{arguments}}"} }""";
}
