using System.Text;
using System.Text.Json;
using Sluice.Inference.Grammars;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Which texts a schema's grammar takes, worked out by hand.</summary>
public sealed class SchemaGrammarTests
{
    [Theory]
    [InlineData("""{"type":"boolean"}""", "true|false", "True|tru|1|\"true\"| true|true ")]
    [InlineData("""{"type":"null"}""", "null", "nil|")]
    [InlineData("""{"type":"integer"}""", "0|-1|123456789012345678", "-0|01|1.0|1e2|+1|1234567890123456789|-")]
    [InlineData("""{"type":"number"}""", "0|-0.5|1.25e-3|1E10|12", ".5|1.|1e|00.1|1e999|-")]
    [InlineData("""{"type":["string","null"]}""", "null|\"\"|\"x\"", "1|{}")]
    [InlineData("""{"type":["integer","number"]}""", "1|1.5", "x")]
    [InlineData("""{"type":"integer","minimum":-12,"maximum":7}""", "-12|-9|-1|0|7", "-13|8|-20|10|-012")]
    [InlineData("""{"type":"integer","exclusiveMinimum":99.5,"exclusiveMaximum":1001}""", "100|999|1000", "99|1001|10000|-100")]
    [InlineData("""{"type":"integer","minimum":1e3}""", "1000|9999|999999999999999999", "999|0|-1000")]
    [InlineData("""{"type":"integer","maximum":-5}""", "-5|-6|-10|-999", "-4|0|5")]
    [InlineData("""{"type":"integer","multipleOf":7,"minimum":10,"maximum":50}""", "14|21|28|35|42|49", "7|10|15|56|-14")]
    [InlineData("""{"type":"integer","multipleOf":5,"exclusiveMaximum":0}""", "-5|-10|-1000", "0|-4|5|-0")]
    [InlineData("""{"type":"number","minimum":0,"maximum":1}""", "0|0.5|1|1.0|1.000|0.999", "1.001|-0.1|2|1e0|01|10")]
    [InlineData("""{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}""", "0.5|0.0001|0.9", "0|0.0|1|1.0|-0.5")]
    [InlineData("""{"type":"number","minimum":-2.25,"maximum":-1.5}""", "-2.25|-2|-1.5|-1.50|-1.75|-2.2", "-2.26|-1.49|-1|0|2|-2.3")]
    [InlineData("""{"type":"number","multipleOf":0.01}""", "1|1.5|-1.25|100.99", "1.255|1e2|.5")]
    [InlineData("""{"type":"number","multipleOf":10}""", "0|10|-120", "5|10.0|1e1")]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"ab\"|\"äöü\"|\"😀😀\"|\"\\ud83d\\ude00a\"|\"\\n\\u0041\"", "\"a\"|\"abcd\"|\"😀\"|\"\\ud83d\\ude00\"|ab")]
    [InlineData("""{"type":"string"}""", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"|\"\u007f\"|\"\\u00e9é\"", "\"\n\"|\"\\x\"|\"\\ud800\"|\"\\udc00\"|\"\\ud83dx\"|\"a|\"a\"b\"")]
    [InlineData("""{"type":"string","pattern":"^[a-c]+$"}""", "\"a\"|\"abccba\"", "\"\"|\"d\"|\"\\u0061\"")]
    [InlineData("""{"type":"string","pattern":"b"}""", "\"b\"|\"abc\"|\"éb\\n\"|\"\\u0000b\"", "\"\"|\"ac\"")]
    [InlineData("""{"type":"string","pattern":"^a|z$"}""", "\"abc\"|\"xyz\"", "\"ba\"|\"zy\"")]
    [InlineData("""{"type":"string","pattern":"^(?:[^x\\s]{2}|\\u{1F600}|\\x41\\/)$"}""", "\"ab\"|\"é日\"|\"😀\"|\"A/\"", "\"a\"|\"ax\"|\"a b\"|\"\\ud83d\\ude00\"")]
    [InlineData("""{"type":"string","pattern":"^a*$","minLength":2,"maxLength":3}""", "\"aa\"|\"aaa\"", "\"a\"|\"aaaa\"")]
    [InlineData("""{"type":"string","pattern":"^2","format":"date"}""", "\"2024-02-29\"", "\"1999-01-01\"|\"2023-02-29\"|\"2024-13-01\"|\"2024-04-31\"")]
    [InlineData("""{"type":"string","format":"uuid"}""", "\"123e4567-e89b-12d3-a456-426614174000\"", "\"123e4567e89b12d3a456426614174000\"")]
    [InlineData("""{"type":"string","format":"ipv6"}""", "\"::\"|\"::1\"|\"1:2:3:4:5:6:7:8\"|\"fe80::1:2\"|\"1:2:3:4:5:6:7::\"", "\":\"|\"1::2::3\"|\"1:2:3:4:5:6:7:8:9\"|\"12345::\"")]
    [InlineData("""{"type":"string","format":"duration"}""", "\"P1D\"|\"PT5M\"|\"P2W\"|\"P1Y2M3DT4H5M6S\"", "\"P\"|\"PT\"|\"1D\"|\"P1W1D\"")]
    [InlineData("""{"enum":["a","ab","b\"c",1,null,[1,{"k":true}]]}""", "\"a\"|\"ab\"|\"b\\\"c\"|1|null|[1,{\"k\":true}]|[1, {\"k\": true}]", "\"abc\"|\"b\"|2|[1]|[]")]
    [InlineData("""{"const":"é\n"}""", "\"é\\n\"", "\"é\"|\"\\u00e9\\n\"")]
    [InlineData("""{"const":"a","enum":["a","b"],"type":"string"}""", "\"a\"", "\"b\"")]
    [InlineData("""{"enum":[1,"1",true],"type":["integer","boolean"]}""", "1|true", "\"1\"")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}""", "[1]|[1,2,3]|[ 1, 2 ]|[\n  1,\n  2\n]", "[]|[1,2,3,4]|[1,]|[1  ]|[1 ,2]")]
    [InlineData("""{"type":"array","maxItems":0}""", "[]|[ ]", "[1]")]
    [InlineData("""{"type":"array","items":false}""", "[]", "[1]")]
    [InlineData("""{"type":"array"}""", "[]|[1,\"a\",{},[[]]]", "[1,]|{}")]
    [InlineData("""{"anyOf":[{"type":"integer"},{"type":"number"},{"type":"array","items":{"anyOf":[{"type":"integer"},{"type":"number"}]}}]}""", "1|1.5|[1,2.5,3]", "[\"a\"]|{}")]
    [InlineData("{}", "{}|{\"a\":1}|{\"a\":{\"b\":[null,false,\"x\"]}}|{ \"a\": 1, \"b\": 2 }", "1|[]|\"a\"|null|{a:1}|{\"a\"}|{\"a\":1,}")]
    public void Texts_are_taken_or_not(string schema, string taken, string refused)
    {
        Grammar grammar = Compile(schema);
        Assert.All(taken.Split('|'), text => Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(text)), text));
        Assert.All(refused.Split('|'), text => Assert.False(grammar.Accepts(Encoding.UTF8.GetBytes(text)), text));
    }

    [Theory]
    [InlineData("""{"a":1,"b":2,"c":3}""", true)]
    [InlineData("""{"b":2}""", true)]
    [InlineData("""{"a":1,"b":2}""", true)]
    [InlineData("""{"b":2,"c":3}""", true)]
    [InlineData("""{"a":1}""", false)]
    [InlineData("""{}""", false)]
    [InlineData("""{"b":2,"a":1}""", false)]
    [InlineData("""{"b":2,"b":2}""", false)]
    [InlineData("""{"b":2,"d":4}""", false)]
    public void Properties_come_in_order_and_optional_ones_may_be_left_out(string text, bool isTaken)
    {
        const string Properties = "\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"},\"c\":{\"type\":\"integer\"}},\"required\":[\"b\"]";
        foreach (string more in (string[])["", ",\"additionalProperties\":false", ",\"type\":\"object\""])
        {
            Assert.Equal(isTaken, Compile("{" + Properties + more + "}").Accepts(Encoding.UTF8.GetBytes(text)));
        }
    }

    [Theory]
    [InlineData("""{"a":1}""", true)]
    [InlineData("""{"a":1,"x":"y","z":""}""", true)]
    [InlineData("""{"x":"y"}""", true)]
    [InlineData("""{"ab":"y"}""", true)]
    [InlineData("""{"":"y"}""", true)]
    [InlineData("""{}""", true)]
    [InlineData("""{"a":1,"a":"y"}""", false)]
    [InlineData("""{"x":"y","a":1}""", false)]
    [InlineData("{\"\\u0061\":\"y\"}", false)]
    [InlineData("""{"x":1}""", false)]
    public void Other_properties_come_last_and_have_other_names(string text, bool isTaken) => Assert.Equal(
        isTaken,
        Compile("""{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}""").Accepts(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void What_is_required_and_not_described_can_be_anything() =>
        Assert.True(Compile("""{"properties":{},"required":["x"]}""").Accepts("""{"x":[1]}"""u8));

    [Fact]
    public void Schemas_refer_to_one_another_and_to_themselves()
    {
        Grammar grammar = Compile("""
            {"$ref":"#/$defs/no~1de","$defs":{"no/de":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/no~1de"},{"type":"null"}]},
            "id":{"$ref":"#/definitions/id"}},"required":["next","id"]}},"definitions":{"id":{"type":"integer"}}}
            """);
        string text = "null";
        for (int depth = 0; depth < 500; depth++)
        {
            text = $$"""{"next":{{text}},"id":{{depth}}}""";
        }

        Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(text)));
        Assert.False(grammar.Accepts(Encoding.UTF8.GetBytes(text[..^1])));
        Assert.True(Compile("""{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#/properties/a"}}}""").Accepts("""{"a":{"b":{}},"b":{}}"""u8));
    }

    [Fact]
    public void Large_schemas_compile()
    {
        string properties = string.Join(',', Enumerable.Range(0, 5000).Select(i => $"\"property{i}\":{{\"type\":\"string\"}}"));
        Grammar optional = Compile($$"""{"type":"object","properties":{{{properties}}},"additionalProperties":false}""");
        Assert.True(optional.Accepts("{}"u8));
        Assert.True(optional.Accepts("""{"property7":"","property4999":"x"}"""u8));
        Assert.False(optional.Accepts("""{"property5000":""}"""u8));
        string values = string.Join(',', Enumerable.Range(0, 10_000).Select(i => $"\"value {i}\""));
        Grammar listed = Compile($$"""{"enum":[{{values}}]}""");
        Assert.True(listed.Accepts("\"value 9999\""u8));
        Assert.False(listed.Accepts("\"value 10000\""u8));
    }

    [Theory]
    [InlineData("""{"type":"object","oneOf":[]}""", "", "'oneOf' must be an array with at least one schema")]
    [InlineData("""{"properties":{"a":{"items":{"minimim":1}}}}""", "properties/a/items", "'minimim' is not supported")]
    [InlineData("""{"allOf":[{"format":"date"},{"format":"time"}]}""", "", "two different 'format' that hold together are not supported")]
    [InlineData("""{"anyOf":[{"type":"string"}],"type":"integer"}""", "", "no value can ever satisfy it")]
    [InlineData("""{"enum":["a"],"minLength":1}""", "", "'minLength' beside 'enum' or 'const' is not supported")]
    [InlineData("""{"anyOf":[{},{"type":"text"}]}""", "anyOf/1", "'type' \"text\" is not known")]
    [InlineData("""{"$ref":"other.json"}""", "", "'$ref' to 'other.json' is not supported: only places in the same schema are, such as '#/$defs/name'")]
    [InlineData("""{"$ref":"#/$defs/x"}""", "", "'$ref' to '#/$defs/x' leads nowhere")]
    [InlineData("""{"$ref":"#/$defs/x","$defs":{"x":{"if":{}}}}""", "$defs/x", "'if' is not supported; use 'anyOf' with a schema for each case")]
    [InlineData("""{"$ref":"#"}""", "", "no value can ever satisfy it")]
    [InlineData("""{"anyOf":[{"$ref":"#"},{"type":"null"}]}""", "", "it refers to itself with nothing in between")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":4}""", "", "no value can ever satisfy it")]
    [InlineData("""{"type":"string","pattern":"^a{5}$","maxLength":3}""", "", "no value can ever satisfy it")]
    [InlineData("""{"enum":[]}""", "", "no value can ever satisfy it")]
    [InlineData("""{"properties":{},"required":["x"],"additionalProperties":false}""", "", "no value can ever satisfy it")]
    [InlineData("""{"type":"string","minLength":-1}""", "", "'minLength' must be a whole number that isn't negative")]
    [InlineData("""{"type":"integer","multipleOf":2000}""", "", "'multipleOf' above 1000 is not supported")]
    [InlineData("""{"type":"number","multipleOf":0.03}""", "", "'multipleOf' is not supported with this value: it must be a whole number, or 0.1, 0.01 and so on")]
    [InlineData("""{"items":{"type":"string","pattern":"(?<=a)"}}""", "items", "'pattern' has a look-behind or an unknown group at character 3, which is not supported")]
    [InlineData("""{"type":"string","pattern":"a\\b"}""", "", "'pattern' has the escape '\\b' at character 4, which is not supported")]
    [InlineData("""{"type":"string","pattern":"a^b"}""", "", "'pattern' has an anchor that isn't at an end at character 2, which is not supported")]
    [InlineData("""{"type":"string","pattern":"(a$)b"}""", "", "'pattern' has an anchor in a group at character 3, which is not supported")]
    [InlineData("""{"type":"string","pattern":"(a|b"}""", "", "'pattern' has a group without an end at character 5, which is not supported")]
    [InlineData("""{"type":"string","pattern":"[a"}""", "", "'pattern' has a class without an end at character 3, which is not supported")]
    [InlineData("""{"type":"string","pattern":"*"}""", "", "'pattern' has '*' at character 1, which is not supported")]
    [InlineData("""{"type":"string","pattern":"a)"}""", "", "'pattern' has ')' at character 2, which is not supported")]
    [InlineData("""{"type":"string","pattern":"(x{1000}){1000}"}""", "", "the pattern has more than 20000 parts")]
    [InlineData("""{"type":"string","pattern":"^(a|b)*a(a|b){20}$"}""", "", "the pattern, or the pattern together with other bounds, needs more than 8191 states")]
    [InlineData("""{"const":"\ud800"}""", "", "contains text that is not valid Unicode")]
    [InlineData("""[]""", "", "is not a schema: an object or a boolean is expected")]
    public void What_is_not_supported_is_refused_with_its_place(string schema, string path, string reason)
    {
        var error = Assert.Throws<GrammarException>(() => Compile(schema));
        Assert.Equal((path, reason), (string.Join('/', error.Path), error.Message));
    }

    private static Grammar Compile(string schema) => Grammar.FromJsonSchema(JsonElement.Parse(schema));
}
