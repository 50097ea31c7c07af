using System.Text;
using System.Text.Json;
using Sluice.Inference.Prompting;
using Sluice.Inference.ToolCalls;
using Xunit;

namespace Sluice.Tests.Inference.ToolCalls;

/// <summary>Calls that models write in another form than JSON, as their templates show them and as models garble them, cut at every byte.</summary>
public sealed class TranscribedCallTests
{
    private static readonly PromptTool[] s_tools =
    [
        new("get_weather", JsonElement.Parse("""{"name":"get_weather","parameters":{"type":"object","properties":{"location":{"type":"string"},"days":{"type":"integer"},"now":{"type":"boolean"},"more":{"type":"object"},"any":{}},"required":["location"]}}"""), false),
        new("add", JsonElement.Parse("""{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"number"},"b":{"type":["string","null"]},"code":{"type":"string"}}}}"""), false),
        new("get", JsonElement.Parse("""{"name":"get"}"""), false),
    ];

    private static readonly ToolShape[] s_shapes = [.. s_tools.Select(ToolShape.Of)];

    private static ToolCallDialect Find(string family) => new[]
    {
        ToolCallDialect.Functions, ToolCallDialect.Seed, ToolCallDialect.Glm, ToolCallDialect.MiniMax, ToolCallDialect.Lfm2, ToolCallDialect.Gemma,
        ToolCallDialect.FunctionGemma, ToolCallDialect.DeepSeek, ToolCallDialect.Kimi, ToolCallDialect.Nemotron,
    }.First(dialect => dialect.Name == family);

    public static TheoryData<string, string, string, string> Answers => new()
    {
        // family, answer, content, calls
        { "Qwen3-Coder", "<tool_call>\n<function=get_weather>\n<parameter=location>\nBerlin\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>", "", """get_weather{"location": "Berlin", "days": 3}""" },
        { "Qwen3-Coder", "I look.\n<tool_call>\n<function=get>\n</function>\n</tool_call>", "I look.", "get{}" },
        { "Qwen3-Coder", "<tool_call>\n<function=add>\n<parameter=code>\nif (a < b) {\n\t\"x\\\"</p\"\n}\n\n</parameter>\n</function>\n</tool_call>", "", """add{"code": "if (a < b) {\n\t\"x\\\"</p\"\n}\n"}""" },
        // A date is no integer, and a text that looks like a number is a text where only that is allowed.
        { "Qwen3-Coder", "<tool_call>\n<function=get_weather>\n<parameter=days>\n2026-01-15\n</parameter>\n<parameter=location>\n12\n</parameter>\n<parameter=now>\nTrue\n</parameter>\n</function>\n</tool_call>", "", """get_weather{"days": "2026-01-15", "location": "12", "now": true}""" },
        { "Qwen3-Coder", "<tool_call>\n<function=add>\n<parameter=b>\nnull\n</parameter>\n<parameter=a>\n-1.5e3\n</parameter>\n</function>\n</tool_call>", "", """add{"b": null, "a": -1.5e3}""" },
        { "Qwen3-Coder", "<tool_call>\n<function=add>\n<parameter=b>\n5\n</parameter>\n</function>\n</tool_call>", "", """add{"b": "5"}""" },
        { "Qwen3-Coder", "<tool_call>\n<function=get_weather>\n<parameter=more>\n{\"a\": [1,\n2]}\n</parameter>\n<parameter=any>\n[1]\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get>\n</function>\n</tool_call>", "", "get_weather{\"more\": {\"a\": [1,\n2]}, \"any\": [1]}|get{}" },
        // Without the outer tag, two in one, on one line.
        { "Qwen3-Coder", "<function=get_weather>\n<parameter=location>\nBerlin\n</parameter>\n</function>\n</tool_call>", "", """get_weather{"location": "Berlin"}""" },
        { "Qwen3-Coder", "<tool_call><function=get></function><function=add><parameter=a>1</parameter></function></tool_call> done", " done", """get{}|add{"a": 1}""" },
        // None, and broken ones.
        { "Qwen3-Coder", "<tool_call>\n<function=other>\n</function>\n</tool_call>", "<tool_call>\n<function=other>\n</function>\n</tool_call>", "" },
        { "Qwen3-Coder", "Write <tool_call> or <function> here", "Write <tool_call> or <function> here", "" },
        { "Qwen3-Coder", "<tool_call>\n<function=get_weather>\n<parameter=location>\nBer</param", "", """get_weather{"location": "Ber</param""" },
        { "Qwen3-Coder", "<tool_call>\n<function=get_weather>\n<parameter=location>\nBerlin\n</parameter>\nSorry.", "\nSorry.", """get_weather{"location": "Berlin"}""" },
        { "Seed", "<seed:tool_call>\n<function=get_weather>\n<parameter=location>Berlin</parameter>\n</function>\n</seed:tool_call>", "", """get_weather{"location": "Berlin"}""" },

        { "GLM", "<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value>Berlin\n</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>", "", "get_weather{\"location\": \"Berlin\\n\", \"days\": 2}" },
        { "GLM", "Hm.\n<tool_call>get_weather<arg_key>location</arg_key><arg_value>a <b></arg_value></tool_call><tool_call>get</tool_call>", "Hm.", """get_weather{"location": "a <b>"}|get{}""" },
        { "GLM", "<tool_call>sub\n</tool_call>", "<tool_call>sub\n</tool_call>", "" },

        { "MiniMax", "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"location\">Berlin</parameter>\n</invoke>\n<invoke name=\"get\">\n</invoke>\n</minimax:tool_call>", "", """get_weather{"location": "Berlin"}|get{}""" },

        { "LFM2", "<|tool_call_start|>[get_weather(location='Berlin', days=5), get()]<|tool_call_end|>Checking.", "Checking.", """get_weather{"location": "Berlin", "days": 5}|get{}""" },
        { "LFM2", "<|tool_call_start|>[get_weather(location=\"it's \\\"C:\\\\x\\\" \\u00fc \\x41 \\n\\d\", more={'a': [1, (2, .5), True,], \"b\": None}, any=[])]<|tool_call_end|>", "", """get_weather{"location": "it's \"C:\\x\" \u00fc \u0041 \n\\d", "more": {"a": [1, [2, 0.5], true], "b": null}, "any": []}""" },
        { "LFM2", "<|tool_call_start|>[add(code='''a'b\nc''', a=1_000, b='')]<|tool_call_end|>", "", """add{"code": "a'b\nc", "a": 1000, "b": ""}""" },
        { "LFM2", "<|tool_call_start|>[add(a=-12345678901234567890, b=r'x', code=word)]<|tool_call_end|>", "", """add{"a": -12345678901234567890, "b": "x", "code": "word"}""" },
        { "LFM2", "<|tool_call_start|>[sub(a=1)]<|tool_call_end|>", "<|tool_call_start|>[sub(a=1)]<|tool_call_end|>", "" },
        { "LFM2", "<|tool_call_start|>[get_weather(location='Ber", "", """get_weather{"location": "Ber""" },

        { "Gemma", "<|tool_call>call:get_weather{location:<|\"|>Berlin, {x}<|\"|>,days:3,more:{a:[1,<|\"|>b<|\"|>],c:true}}<tool_call|>", "", """get_weather{"location": "Berlin, {x}", "days": 3, "more": {"a": [1, "b"], "c": true}}""" },
        { "Gemma", "<|tool_call>call:get{}<tool_call|><|tool_call>call:add{a:1}<tool_call|>", "", """get{}|add{"a": 1}""" },
        { "Gemma", "<|tool_call>call:add{b:null,code:<|\"|>a<|b\"\\<|\"|>}<tool_call|> done", " done", """add{"b": null, "code": "a<|b\"\\"}""" },
        { "Gemma", "<|tool_call>call:sub{}<tool_call|>", "<|tool_call>call:sub{}<tool_call|>", "" },
        { "FunctionGemma", "<start_function_call>call:get_weather{location:<escape>Berlin<escape>}<end_function_call>", "", """get_weather{"location": "Berlin"}""" },

        { "DeepSeek", "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"location\": \"Berlin\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "Hm.", """get_weather{"location": "Berlin"}|get{}""" },
        { "DeepSeek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"location\": \"Berlin\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "", """get_weather{"location": "Berlin"}""" },
        { "Kimi", "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{\"location\": \"Berlin\"}<|tool_call_end|><|tool_calls_section_end|>", "", """get_weather{"location": "Berlin"}""" },
        { "Nemotron", "<TOOLCALL>[{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\": \"get\", \"arguments\": {}}]</TOOLCALL>", "", """add{"a": 1}|get{}""" },
    };

    [Theory]
    [MemberData(nameof(Answers))]
    public void Answer_CutAtEveryByte_IsContentAndCalls(string family, string answer, string content, string calls)
    {
        ReadAnswer read = ReadAnswer.Read(() => new AnswerParser(Find(family), s_shapes, ReasoningTags.Think), answer);
        Assert.Equal(calls, string.Join('|', read.Calls.Select(call => call.Tool + Decode(call.Arguments))));
        Assert.Equal(content, Decode(read.Content));
    }

    // Content and arguments are read as Latin-1.
    private static string Decode(string latin) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(latin));

    [Theory]
    [InlineData("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello", "Hm.", "Hello", "")]
    [InlineData("<|channel|>final<|message|>Hello<|return|>", "", "Hello", "")]
    [InlineData("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"location\": \"<|end\"}<|call|>", "Hm.", "", "get_weather{\"location\": \"<|end\"}")]
    // The recipient in the role's part, the word `code`, on the channel of reasoning, without a channel, with a stray recipient.
    [InlineData(" to=functions.get<|channel|>commentary json<|message|>{}", "", "", "get{}")]
    [InlineData("<|channel|>analysis to=functions.add code<|message|> {\"a\": 1}", "", "", "add{\"a\": 1}")]
    [InlineData("<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.get<|channel|>commentary<|message|>{}", "", "I look.", "get{}")]
    [InlineData("<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>final<|message|>Done.", "", "I look.\n\nDone.", "")]
    [InlineData("analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final to=assistant<|message|>x", "Hm.", "x", "")]
    [InlineData("Just text", "", "Just text", "")]
    [InlineData("final answer", "", "", "")]
    [InlineData("<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>x", "Hm.", "x", "")]
    [InlineData("<|channel|>commentary to=functions.other <|constrain|>json<|message|>{}", "", "{}", "")]
    [InlineData("<|channel|>commentary to=functions.get <|constrain|>json<|message|>no object", "", "no object", "")]
    [InlineData("<|channel|>commentary to=functions.add <|constrain|>json<|message|>{\"a\": ", "", "", "add{\"a\": ")]
    [InlineData("<|channel|>analysis<|message|>a <|b <|en", "a <|b <|en", "", "")]
    public void Channels_CutAtEveryByte_AreReasoningContentAndCalls(string answer, string reasoning, string content, string calls)
    {
        ReadAnswer read = ReadAnswer.Read(() => new HarmonyReader(s_shapes), answer);
        Assert.Equal((reasoning, content, calls), (read.Reasoning, read.Content, string.Join('|', read.Calls.Select(static call => call.Tool + call.Arguments))));
    }

    [Theory]
    [InlineData("<|channel>thought\nHm.<channel|>Yes.", "Hm.", "Yes.")]
    [InlineData("<|channel>thought\n<channel|>Yes.", "", "Yes.")]
    [InlineData("[THINK]Hm.[/THINK]Yes.", "", "[THINK]Hm.[/THINK]Yes.")]
    public void Reasoning_StandsInTheTagsOfTheFamily(string answer, string reasoning, string content)
    {
        ReasoningTags tags = ReasoningTags.Find("{{ '<|channel>thought' }} {{ '<channel|>' }}")!;
        ReadAnswer read = ReadAnswer.Read(() => new AnswerParser(ToolCallDialect.Gemma, s_shapes, tags), answer);
        Assert.Equal((reasoning, content), (read.Reasoning, read.Content));
    }

    [Fact]
    public void Arguments_OfAnyText_AreAnObject()
    {
        var random = new Random(7);
        string[] pieces = ["<tool_call>", "<function=add>", "<parameter=code>", "<parameter=a>", "\n", "</parameter>", "</function>", "</tool_call>", "x", "\"", "\\", "{", "1", "ü", "'", "(", ")", "[", "]", ",", "=",
            "<|tool_call_start|>", "[add(", "a=", "<|tool_call_end|>", "<|tool_call>", "call:add{", "a:", "}", "<|\"|>", "<tool_call|>"];
        foreach (ToolCallDialect dialect in (ToolCallDialect[])[ToolCallDialect.Functions, ToolCallDialect.Glm, ToolCallDialect.Lfm2, ToolCallDialect.Gemma])
        {
            for (int round = 0; round < 400; round++)
            {
                string start = dialect.Literals is { } literals ? $"{dialect.Openers[0]}{literals.ListOpener}{literals.CallOpener}add{literals.ArgumentsOpener}a{literals.Assign}" : dialect.Openers[0];
                string text = start + string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => pieces[random.Next(pieces.Length)])) + ".";
                byte[] bytes = Encoding.UTF8.GetBytes(text);
                var reader = new AnswerParser(dialect, s_shapes, null);
                ReadAnswer read = ReadAnswer.Read(reader, bytes, () => 1 + random.Next(7));
                for (int i = 0; i < read.Calls.Count - (reader.HasCutCall ? 1 : 0); i++)
                {
                    Assert.Equal(JsonValueKind.Object, JsonElement.Parse(Decode(read.Calls[i].Arguments)).ValueKind);
                }
            }
        }
    }
}
