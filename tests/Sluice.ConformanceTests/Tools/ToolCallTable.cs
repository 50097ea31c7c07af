using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Xunit;
using static Sluice.ConformanceTests.Tools.ToolBackEnds;

namespace Sluice.ConformanceTests.Tools;

/// <summary>
/// Tool calls (F) and answers by a schema (C-12), whatever is behind the hub: one row for each case of the specification, one column for each
/// of <see cref="ToolBackEnds"/>. Each cell is asked streamed and not. A cell that is left out says why.
/// </summary>
public static partial class ToolCallTable
{
    private const string Weather = """
        {"type":"function","function":{"name":"get_weather","description":"Get current weather for a location","parameters":{"type":"object","properties":{"location":{"type":"string"}},"required":["location"]}}}
        """;
    private const string Add = """
        {"type":"function","function":{"name":"add","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}}}
        """;
    private const string Ping = """{"type":"function","function":{"name":"ping"}}""";
    private const string Berlin = "{\"location\": \"Berlin 🌧\"}";
    private const string Sum = "{\"a\": 1, \"b\": 2}";
    private const string OnlyWeather = "\"tools\":[" + Weather + "]";
    private const string Tools = "\"tools\":[" + Weather + "," + Add + "," + Ping + "]";
    private const string NamedPing = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"ping\"}}";
    private const string Asked = ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"ping\",\"arguments\":\"{}\"}}]}";
    private const string Pong = ",{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"pong\"}";
    private const string Object = "\"response_format\":{\"type\":\"json_object\"}";
    private const string Colour = "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"colour\",\"strict\":true,\"schema\":{\"type\":\"object\",\"properties\":{\"colour\":{\"enum\":[\"red\",\"green\"]},"
        + "\"dark\":{\"type\":\"boolean\"}},\"required\":[\"colour\",\"dark\"],\"additionalProperties\":false}}}";
    private const string Red = "{\"colour\": \"red\", \"dark\": true}";

    // Why cells are left out.
    private const string TextOrCalls = "a call of this form is the whole answer";
    private const string OneDecision = "a model that knows nothing of tools is asked once whether to call";
    private const string OwnFrames = "the hub makes these chunks itself, from nothing that could be wrong";
    private const string OwnArguments = "an upstream's arguments are its own";

    private static readonly (string, string) s_berlin = ("get_weather", Berlin);
    private static readonly (string, string) s_ping = ("ping", "{}");
    private static readonly (string, string) s_sum = ("add", Sum);

    /// <summary>All rows.</summary>
    public static IReadOnlyList<ToolCallCase> Cases { get; } = [.. Calls(), .. Choices(), .. Conversations(), .. Formats(), .. Quirks()];

    /// <summary>The rows of one column, under their names.</summary>
    public static TheoryData<string> Of(ToolBackEnds column) =>
        [.. Cases.Where(row => !row.NotWith.Any(left => left.Who.HasFlag(column))).Select(row => row.Name)];

    public static ToolCallCase Find(string name) => Cases.Single(row => row.Name == name);

    private static IEnumerable<ToolCallCase> Calls()
    {
        yield return new("F-01 F-02 F-03 F-04 one call in fragments", answer =>
        {
            answer.IsCalls(s_berlin);
            if (answer.From != SmolLM2) Assert.Equal(Berlin, answer.Calls[0].Arguments);
            if (answer.Stream is not { } stream) return;
            Assert.True(answer.Calls[0].FragmentCount > 1, stream.Body);
            Assert.True(ChatStream.Delta(stream.Chunks[0]).IsNull("content"));
            var finish = stream.Of(0)[^1];
            Assert.Equal((0, "tool_calls"), (finish.GetProperty("delta").Names().Length, finish.Text("finish_reason")));
        })
        { Request = OnlyWeather, Says = new("", s_berlin) };
        yield return new("F-03 arguments fit the schema whatever the model would write", answer =>
        {
            var arguments = Json.Parse(Assert.Single(answer.Calls).Arguments);
            Assert.Equal(["a", "b"], arguments.Names());
            Assert.All(arguments.EnumerateObject(), member => Assert.Equal(JsonValueKind.Number, member.Value.ValueKind));
        })
        {
            Request = Tools + ",\"parallel_tool_calls\":false",
            Says = new("", ("add", "{\"a\": \"one\", \"zzz\": [1]}")),
            ModelRequest = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"add\"}}",
            NotWith = [(Upstreams, OwnArguments)],
        };
        yield return new("F-05 two calls stand apart", answer => answer.IsCalls(s_sum, s_berlin))
        {
            Request = Tools,
            Says = new("", s_sum, s_berlin),
            NotWith = [(SmolLM2 | Generic, OneDecision)],
        };
        yield return new("F-06 a call without arguments", answer => answer.IsCalls(s_ping))
        { Request = Tools, ModelRequest = NamedPing, Says = new("", s_ping) };
        yield return new("F-07 text comes before the call", answer =>
        {
            Assert.Equal("Let me see.", answer.Content);
            answer.HasCalls(s_ping);
            if (answer.Stream is { } stream) Assert.Equal("", ChatStream.Delta(stream.Chunks[0]).Text("content"));
        })
        { Request = Tools, Says = new("Let me see.", s_ping), NotWith = [(SmolLM2 | Llama | Generic, TextOrCalls)] };
        yield return new("F-07 an answer of text has no calls", answer => answer.IsText("Hello < world [ \n"))
        { Request = OnlyWeather, Says = new("Hello < world [ \n"), Question = "Write a short poem about the sea." };
        yield return new("F-09 whoever reads first entries only has every id once", answer =>
        {
            answer.HasCalls(answer.From switch { SmolLM2 => [s_berlin], Generic => [s_sum], _ => [s_sum, s_berlin] });
            if (answer.Stream is { } stream)
                Assert.Equal(answer.Calls.Select(call => (call.Id, call.Name, call.Arguments)), stream.FirstEntries().Select(call => (call.Id, call.Name, call.Arguments)));
        })
        { Request = Tools, ModelRequest = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}", Says = new("", s_sum, s_berlin) };
        yield return new("F-15 the token limit cuts the arguments", answer =>
        {
            Assert.Equal((null, "length"), (answer.Content, answer.FinishReason));
            var call = Assert.Single(answer.Calls);
            Assert.Equal(("get_weather", "{\"location\": \"Ber"), (call.Name, call.Arguments));
        })
        {
            Request = OnlyWeather,
            Says = new("", s_berlin),
            Obeyed = new("", ("get_weather", "{\"location\": \"Ber")) { IsCut = true },
            MaxTokens = text => text.Replace("[TOOL_CALLS]", "T", StringComparison.Ordinal).IndexOf("lin", StringComparison.Ordinal),
            NotWith = [(SmolLM2, "where SmolLM2 is after four tokens is its own affair; see the next row")],
        };
        yield return new("F-15 the token limit cuts whatever there is", answer => Assert.Equal("length", answer.FinishReason))
        {
            Request = OnlyWeather + ",\"tool_choice\":\"required\"",
            Says = new("", s_berlin),
            Obeyed = new("", ("get_weather", "{\"loc")) { IsCut = true },
            MaxTokens = _ => 4,
        };
        yield return new("U-01 every choice has its own calls", answer =>
        {
            answer.IsCalls(s_ping);
            if (answer.Stream is { } stream)
                Assert.Equal(2, Enumerable.Range(0, 2).Select(choice => Assert.Single(stream.ToolCalls(choice))).Select(call => call.Id).Distinct().Count());
        })
        {
            Request = Tools + ",\"n\":2",
            ModelRequest = NamedPing,
            Says = new("", s_ping),
            RefusedBy = [(Anthropic, "'n'")],
            NotWith = [(ToolBackEnds.OpenAI, "the scripted server says one choice")],
        };
    }

    private static IEnumerable<ToolCallCase> Choices()
    {
        yield return new("F-10 none calls nothing", answer => answer.IsText("Hello world"))
        {
            Request = Tools + ",\"tool_choice\":\"none\"",
            Says = new("Hello world"),
            Asked = "\"tool_choice\":\"none\"",
            AskedOfAnthropic = "\"tool_choice\":{\"type\":\"none\"}",
        };
        yield return new("F-10 required calls even where the model would talk", answer =>
        {
            Assert.Equal((null, "tool_calls"), (answer.Content, answer.FinishReason));
            Assert.Contains(Assert.Single(answer.Calls).Name, (string[])["get_weather", "add", "ping"]);
            Assert.Equal(JsonValueKind.Object, Json.Parse(answer.Calls[0].Arguments).ValueKind);
        })
        {
            Request = Tools + ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false",
            Says = new("Hello world"),
            Obeyed = new("", s_berlin),
            Asked = "\"tool_choice\":\"required\",\"parallel_tool_calls\":false",
            AskedOfAnthropic = "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}",
        };
        yield return new("F-10 F-05 required takes several calls", answer => answer.IsCalls(s_sum, s_berlin))
        {
            Request = Tools + ",\"tool_choice\":\"required\"",
            Says = new("", s_sum, s_berlin),
            NotWith = [(SmolLM2 | Generic, OneDecision)],
        };
        yield return new("F-10 a named tool is the one that is called", answer => answer.IsCalls(s_ping))
        {
            Request = Tools + "," + NamedPing,
            Says = new("Hello world"),
            Obeyed = new("", s_ping),
            Asked = NamedPing,
            AskedOfAnthropic = "\"tool_choice\":{\"type\":\"tool\",\"name\":\"ping\"}",
        };
        yield return new("F-10 allowed tools are the only ones, if any", answer => answer.IsText("Hello world"))
        {
            Request = Tools + "," + Allowed("auto"),
            Says = new("Hello world"),
            Question = "Write a short poem about the sea.",
            Asked = Allowed("auto"),
            AskedOfAnthropic = "\"name\":\"ping\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],\"tool_choice\":{\"type\":\"auto\"}",
        };
        yield return new("F-10 allowed tools that are required", answer => answer.IsCalls(s_ping))
        {
            Request = Tools + "," + Allowed("required") + ",\"parallel_tool_calls\":false",
            Says = new("Hello world"),
            Obeyed = new("", s_ping),
            Asked = Allowed("required"),
            AskedOfAnthropic = "\"tools\":[{\"name\":\"ping\"",
        };
        yield return new("F-11 without parallel calls there is one", answer => answer.IsCalls(s_ping))
        {
            Request = Tools + ",\"parallel_tool_calls\":false",
            ModelRequest = NamedPing,
            Says = new("", s_ping, s_berlin),
            Obeyed = new("", s_ping),
            Asked = "\"parallel_tool_calls\":false",
            AskedOfAnthropic = "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}",
        };
        yield return new("F-16 functions are called in the older form", answer =>
        {
            Assert.Equal((null, "function_call"), (answer.Content, answer.FinishReason));
            Assert.Equal("f", Assert.Single(answer.Calls).Name);
            Assert.Equal(["a"], Json.Parse(answer.Calls[0].Arguments).Names());
        })
        {
            Request = "\"functions\":[{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}}],\"function_call\":{\"name\":\"f\"}",
            Says = new("", ("f", "{\"a\": 1}")) { IsFunction = true },
            Asked = "\"function_call\":{\"name\":\"f\"}",
            RefusedBy = [(Anthropic, "'functions'")],
        };
        yield return new("F custom tools take a text", answer =>
        {
            Assert.Equal((null, "tool_calls"), (answer.Content, answer.FinishReason));
            var call = Assert.Single(answer.Calls);
            Assert.Equal("sql", call.Name);
            if (answer.From != SmolLM2) Assert.Equal("select \"a\"\n\\ 🙂", call.Arguments);
        })
        {
            Request = "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"sql\",\"description\":\"Runs a query\"}}]",
            ModelRequest = "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"sql\"}}",
            Says = new("", ("sql", "select \"a\"\n\\ 🙂")) { IsCustom = true },
            AskedOfAnthropic = "{\"name\":\"sql\",\"description\":\"Runs a query\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"],\"additionalProperties\":false}}",
            NotWith = [(SmolLM2, "without an end in sight SmolLM2 writes until it is cut; see the next row")],
        };
        yield return new("F custom tools take a text of a regular expression", answer =>
        {
            Assert.Equal((null, "tool_calls"), (answer.Content, answer.FinishReason));
            Assert.Matches("^(red|green)-[0-9]{2}$", Assert.Single(answer.Calls).Arguments);
        })
        {
            Request = "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"pick\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"regex\",\"definition\":\"(red|green)-[0-9]{2}\"}}}}],"
                + "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"pick\"}}",
            Says = new("Hello world"),
            Obeyed = new("", ("pick", "red-12")) { IsCustom = true },
            AskedOfAnthropic = "\"tool_choice\":{\"type\":\"tool\",\"name\":\"pick\"}",
        };
        yield return new("F custom tools with a Lark grammar", answer => Assert.Equal("x", Assert.Single(answer.Calls).Arguments))
        {
            Request = "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"pick\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"lark\",\"definition\":\"start: \\\"x\\\"\"}}}}],"
                + "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"pick\"}}",
            Says = new("Hello world"),
            Obeyed = new("", ("pick", "x")) { IsCustom = true },
            AskedOfAnthropic = "\"description\":\"The input must match this lark grammar:\\nstart: \\\"x\\\"\"",
        };
    }

    private static IEnumerable<ToolCallCase> Conversations()
    {
        foreach (var (how, content) in ((string, string)[])[("null", "\"content\":null,"), ("an empty string", "\"content\":\"\","), ("nothing", "")])
        {
            yield return new($"F-13 calls beside {how} as content", answer => answer.IsText("It is alive."))
            { Request = Tools, Says = new("It is alive."), History = Asked.Replace("\"content\":null,", content, StringComparison.Ordinal) + Pong };
        }

        yield return new("F-12 a result as a string", answer => answer.IsText("It is alive."))
        {
            Request = Tools,
            Says = new("It is alive."),
            History = Asked + Pong,
            Asked = Pong,
            AskedOfAnthropic = "{\"type\":\"tool_result\",\"tool_use_id\":\"call_1\",\"content\":\"pong\"}",
        };
        yield return new("F-12 a result in parts", answer => answer.IsText("It is alive."))
        { Request = Tools, Says = new("It is alive."), History = Asked + Pong.Replace("\"pong\"", "[{\"type\":\"text\",\"text\":\"pong\"}]", StringComparison.Ordinal) };
        yield return new("F-17 an SDK's own message object comes back", answer => answer.IsText("It is alive."))
        { Request = Tools, Says = new("It is alive."), History = Asked.Replace("\"content\":null", "\"content\":null,\"refusal\":null,\"annotations\":[],\"audio\":null,\"function_call\":null", StringComparison.Ordinal) + Pong };
        yield return new("E-50 reasoning comes back with the message", answer => answer.IsText("It is alive."))
        { Request = Tools, Says = new("It is alive."), History = Asked.Replace("\"content\":null", "\"content\":null,\"reasoning_content\":\"I ping.\"", StringComparison.Ordinal) + Pong };
        // An upstream that speaks OpenAI's API judges that for itself.
        yield return new("F-14 a result that nobody asked for", answer => answer.IsText("It is alive."))
        { Request = Tools, Says = new("It is alive."), History = Pong, RefusedBy = [(Engine | Anthropic, "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")] };
        yield return new("F-14 a call without a result", answer => answer.IsText("It is alive."))
        {
            Request = Tools,
            Says = new("It is alive."),
            History = Asked + ",{\"role\":\"user\",\"content\":\"b\"}",
            RefusedBy = [(Engine | Anthropic, "must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: call_1")],
        };
    }

    private static IEnumerable<ToolCallCase> Formats()
    {
        yield return new("C-12 any object", answer =>
        {
            Assert.Empty(answer.Calls);
            if (answer.FinishReason == "stop") Assert.Equal(JsonValueKind.Object, Json.Parse(answer.Content!).ValueKind);
            else Assert.Equal((SmolLM2, "length"), (answer.From, answer.FinishReason));
        })
        { Request = Object, Says = new("{\"a\": [1, {}, null]}"), Asked = Object, Question = "Reply with a short JSON object.", RefusedBy = [(Anthropic, "'response_format'")] };
        yield return new("C-12 an object of a schema", IsColour)
        { Request = Colour, Says = new("Sure! Hello world"), Obeyed = new(Red), Asked = Colour, AskedOfAnthropic = "\"output_config\":{\"format\":{\"type\":\"json_schema\"", Question = "Choose a colour." };
        yield return new("C-12 beside tools: a text is of the schema", IsColour)
        { Request = OnlyWeather + "," + Colour, Says = new(Red), Asked = Colour, Question = "Write a short poem about the sea." };
        yield return new("C-12 beside tools: a call is a call", answer => answer.IsCalls(s_berlin))
        { Request = OnlyWeather + ",\"parallel_tool_calls\":false," + Colour, Says = new("", s_berlin), Asked = Colour };
        yield return new("C-12 beside required tools: only calls", answer => answer.IsCalls(s_ping))
        { Request = Tools + "," + NamedPing + "," + Colour, Says = new(Red), Obeyed = new("", s_ping), Asked = Colour };
        yield return new("C-12 after a tool's result: a text of the schema", IsColour)
        { Request = OnlyWeather + "," + Colour, Says = new(Red), History = Asked + Pong, Asked = Colour };

        static void IsColour(ToolAnswer answer)
        {
            Assert.Empty(answer.Calls);
            Assert.Equal("stop", answer.FinishReason);
            var colour = Json.Parse(answer.Content!);
            Assert.Equal(["colour", "dark"], colour.Names());
            Assert.Contains(colour.Text("colour"), (string[])["red", "green"]);
        }
    }

    private static string Allowed(string mode) =>
        "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"" + mode + "\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"ping\"}}]}}";
}
