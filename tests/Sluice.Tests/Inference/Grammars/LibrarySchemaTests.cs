using System.Text;
using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Testing.Grammars;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Schemas as zod 4, pydantic 2 and .NET's JsonSchemaExporter write them for types of applications.</summary>
public sealed class LibrarySchemaTests
{
    /// <summary>A name, the schema, and texts that are taken and refused, one a line.</summary>
    public static TheoryData<string, string, string, string> Schemas => new()
    {
        {
            "zod: an object with most kinds of fields", """
            {"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"name":{"type":"string","minLength":1},
            "age":{"type":"integer","exclusiveMinimum":0,"maximum":9007199254740991},"score":{"type":"number"},"role":{"type":"string","enum":["admin","user"]},
            "kind":{"type":"string","const":"person"},"nick":{"anyOf":[{"type":"string"},{"type":"null"}]},"tags":{"default":[],"type":"array","items":{"type":"string"}}},
            "required":["name","age","score","role","kind","nick","tags"],"additionalProperties":false}
            """,
            """
            {"name":"Ada","age":36,"score":0.5,"role":"admin","kind":"person","nick":null,"tags":[]}
            {"name":"Ada","age":36,"score":1,"role":"user","kind":"person","nick":"a","tags":["x"]}
            """,
            """
            {"name":"","age":36,"score":0.5,"role":"admin","kind":"person","nick":null,"tags":[]}
            {"name":"Ada","age":0,"score":0.5,"role":"admin","kind":"person","nick":null,"tags":[]}
            {"name":"Ada","age":36,"score":0.5,"role":"root","kind":"person","nick":null,"tags":[]}
            {"name":"Ada","age":36,"score":0.5,"role":"admin","kind":"person","tags":[]}
            """
        },
        {
            "zod: a discriminated union", """
            {"$schema":"https://json-schema.org/draft/2020-12/schema","oneOf":[
            {"type":"object","properties":{"status":{"type":"string","const":"success"},"data":{"type":"string"}},"required":["status","data"],"additionalProperties":false},
            {"type":"object","properties":{"status":{"type":"string","const":"failed"},"error":{"type":"string"}},"required":["status","error"],"additionalProperties":false}]}
            """,
            """
            {"status":"success","data":"x"}
            {"status":"failed","error":"x"}
            """,
            """
            {"status":"success","error":"x"}
            {"status":"other"}
            {"data":"x"}
            """
        },
        {
            "zod: records", """
            {"type":"object","properties":{"any":{"type":"object","propertyNames":{"type":"string"},"additionalProperties":{"type":"number"}},
            "keyed":{"type":"object","propertyNames":{"type":"string","enum":["a","b"]},"additionalProperties":{"type":"boolean"},"required":["a","b"]},
            "partial":{"type":"object","propertyNames":{"type":"string","enum":["a","b"]},"additionalProperties":{"type":"boolean"}},
            "matched":{"type":"object","propertyNames":{"type":"string","pattern":"^k_[a-z]+$"},"additionalProperties":{"type":"number"}}},
            "required":["any","keyed"],"additionalProperties":false}
            """,
            """
            {"any":{},"keyed":{"a":true,"b":false}}
            {"any":{"x":1,"y":2},"keyed":{"a":true,"b":false},"partial":{"b":true},"matched":{"k_a":1,"k_b":2}}
            {"any":{},"keyed":{"a":true,"b":false},"partial":{},"matched":{}}
            """,
            """
            {"any":{"x":"y"},"keyed":{"a":true,"b":false}}
            {"any":{},"keyed":{"a":true}}
            {"any":{},"keyed":{"a":true,"b":false,"c":true}}
            {"any":{},"keyed":{"a":true,"b":false},"partial":{"c":true}}
            {"any":{},"keyed":{"a":true,"b":false},"matched":{"x":1}}
            """
        },
        {
            "zod: tuples and an intersection", """
            {"type":"object","properties":{"pair":{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]},
            "open":{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"number"}},
            "both":{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"number"}},"required":["b"]}]}},
            "required":["pair","open","both"],"additionalProperties":false}
            """,
            """
            {"pair":["x",1],"open":["x"],"both":{"a":"","b":1}}
            {"pair":["x",1],"open":["x",1,2,3],"both":{"a":"","b":1}}
            """,
            """
            {"pair":["x"],"open":["x"],"both":{"a":"","b":1}}
            {"pair":["x",1,2],"open":["x"],"both":{"a":"","b":1}}
            {"pair":[1,"x"],"open":["x"],"both":{"a":"","b":1}}
            {"pair":["x",1],"open":[],"both":{"a":"","b":1}}
            {"pair":["x",1],"open":["x","y"],"both":{"a":"","b":1}}
            {"pair":["x",1],"open":["x"],"both":{"a":""}}
            """
        },
        {
            "zod: formats with their patterns", """
            {"type":"object","properties":{
            "mail":{"type":"string","format":"email","pattern":"^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"},
            "id":{"type":"string","format":"uuid","pattern":"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"},
            "at":{"type":"string","format":"date-time","pattern":"^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?(?:Z))$"},
            "time":{"type":"string","format":"time","pattern":"^(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?$"},
            "span":{"type":"string","format":"duration","pattern":"^P(?:(\\d+W)|(?!.*W)(?=\\d|T\\d)(\\d+Y)?(\\d+M)?(\\d+D)?(T(?=\\d)(\\d+H)?(\\d+M)?(\\d+([.,]\\d+)?S)?)?)$"},
            "url":{"type":"string","format":"uri"},"slug":{"type":"string","allOf":[{"pattern":"^a.*"},{"pattern":".*z$"}],"minLength":3,"maxLength":9}},
            "additionalProperties":false}
            """,
            """
            {"mail":"a.b@example.org"}
            {"id":"123e4567-e89b-42d3-a456-426614174000"}
            {"at":"2024-02-29T12:30:00Z"}
            {"time":"12:30"}
            {"span":"P1DT2H"}
            {"url":"https://example.org/"}
            {"slug":"abcz"}
            """,
            """
            {"mail":".a@example.org"}
            {"mail":"a..b@example.org"}
            {"mail":"a@example"}
            {"id":"123e4567-e89b-92d3-a456-426614174000"}
            {"at":"2023-02-29T12:30:00Z"}
            {"at":"2024-02-29T12:30:00+01:00"}
            {"time":"25:30"}
            {"span":"P"}
            {"span":"P1DT"}
            {"slug":"az"}
            {"slug":"abc"}
            """
        },
        {
            "zod: a lazy tree", """
            {"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#"}}},"required":["name","children"],"additionalProperties":false}
            """,
            """
            {"name":"a","children":[{"name":"b","children":[]}]}
            """,
            """
            {"name":"a","children":[{"name":"b"}]}
            """
        },
        {
            "zod: for OpenAPI 3.0", """
            {"type":"object","properties":{"a":{"type":"string","nullable":true},"b":{"type":"string","nullable":true,"enum":["x",null]},"c":{"nullable":true,"allOf":[{"$ref":"#/definitions/C"}]},
            "d":{"type":"number","minimum":0,"exclusiveMinimum":true},"e":{"type":"integer","minimum":0,"exclusiveMinimum":false}},
            "required":["a","b","c","d","e"],"additionalProperties":false,"definitions":{"C":{"type":"object","properties":{},"additionalProperties":false}}}
            """,
            """
            {"a":"x","b":"x","c":{},"d":0.1,"e":0}
            {"a":null,"b":null,"c":null,"d":1,"e":1}
            """,
            """
            {"a":1,"b":"x","c":{},"d":0.1,"e":0}
            {"a":null,"b":"y","c":{},"d":0.1,"e":0}
            {"a":null,"b":null,"c":null,"d":0,"e":0}
            """
        },
        {
            "pydantic: a model of models", """
            {"$defs":{"Address":{"properties":{"street":{"title":"Street","type":"string"},"zip":{"anyOf":[{"pattern":"^[0-9]{5}$","type":"string"},{"type":"null"}],"default":null,"title":"Zip"}},
            "required":["street"],"title":"Address","type":"object"},"Level":{"enum":[1,2,3],"title":"Level","type":"integer"}},
            "properties":{"address":{"$ref":"#/$defs/Address","description":"Where to."},"level":{"$ref":"#/$defs/Level","default":1},
            "price":{"anyOf":[{"type":"number"},{"pattern":"^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$","type":"string"}],"title":"Price"},
            "counts":{"additionalProperties":{"type":"integer"},"title":"Counts","type":"object"},
            "point":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"number"},{"type":"number"}],"title":"Point","type":"array"},
            "when":{"format":"date-time","title":"When","type":"string"},"file":{"format":"path","title":"File","type":"string"},"data":{"title":"Data"}},
            "required":["address","price","counts","point","when","file","data"],"title":"Order","type":"object"}
            """,
            """
            {"address":{"street":"x","zip":"12345"},"level":2,"price":1.5,"counts":{"a":1},"point":[1,2.5],"when":"2024-01-01T00:00:00Z","file":"/x","data":[1]}
            {"address":{"street":"x"},"price":"12.50","counts":{},"point":[0,0],"when":"2024-01-01T00:00:00Z","file":"","data":null}
            """,
            """
            {"address":{"street":"x","zip":"1"},"level":2,"price":1.5,"counts":{"a":1},"point":[1,2.5],"when":"2024-01-01T00:00:00Z","file":"/x","data":[1]}
            {"address":{"street":"x"},"level":4,"price":1.5,"counts":{"a":1},"point":[1,2.5],"when":"2024-01-01T00:00:00Z","file":"/x","data":[1]}
            {"address":{"street":"x"},"price":"-","counts":{"a":1},"point":[1,2.5],"when":"2024-01-01T00:00:00Z","file":"/x","data":[1]}
            {"address":{"street":"x"},"price":1,"counts":{"a":1},"point":[1],"when":"2024-01-01T00:00:00Z","file":"/x","data":[1]}
            """
        },
        {
            "pydantic: a discriminated union", """
            {"$defs":{"Cat":{"properties":{"kind":{"const":"cat","default":"cat","title":"Kind","type":"string"},"lives":{"title":"Lives","type":"integer"}},"required":["lives"],"title":"Cat","type":"object"},
            "Dog":{"properties":{"kind":{"const":"dog","default":"dog","title":"Kind","type":"string"},"name":{"title":"Name","type":"string"}},"required":["name"],"title":"Dog","type":"object"}},
            "properties":{"pet":{"discriminator":{"mapping":{"cat":"#/$defs/Cat","dog":"#/$defs/Dog"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Cat"},{"$ref":"#/$defs/Dog"}],"title":"Pet"}},
            "required":["pet"],"title":"Owner","type":"object"}
            """,
            """
            {"pet":{"kind":"cat","lives":9}}
            {"pet":{"kind":"dog","name":"Rex"}}
            """,
            """
            {"pet":{"lives":9}}
            {"pet":{"kind":"dog","lives":9}}
            {"pet":{"kind":"fox","name":"x"}}
            """
        },
        {
            "pydantic: dictionaries with patterns, literals, a recursive model", """
            {"$defs":{"Node":{"additionalProperties":false,"properties":{"value":{"enum":["a",1,true],"title":"Value"},"next":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}],"default":null}},
            "required":["value"],"title":"Node","type":"object"}},
            "properties":{"env":{"patternProperties":{"^[A-Z]+$":{"type":"string"},"^[a-z]+$":{"type":"integer"}},"title":"Env","type":"object"},
            "more":{"additionalProperties":{"type":"boolean"},"patternProperties":{"^x-":{"type":"string"}},"properties":{"x-a":{"maxLength":2,"type":"string"},"b":{"type":"null"}},"type":"object"},
            "node":{"$ref":"#/$defs/Node"}},"required":["env"],"title":"Config","type":"object"}
            """,
            """
            {"env":{"PATH":"/","lines":3}}
            {"env":{},"more":{"x-a":"ab","x-b":"abc","c":true},"node":{"value":1,"next":{"value":"a","next":null}}}
            {"env":{},"more":{"b":null,"bb":false}}
            """,
            """
            {"env":{"PATH":3}}
            {"env":{"Path":"x"}}
            {"env":{},"more":{"x-a":"abc"}}
            {"env":{},"more":{"x-b":true}}
            {"env":{},"more":{"c":"x"}}
            {"env":{},"node":{"value":2}}
            """
        },
        {
            ".NET: a class with its web defaults", """
            {"type":["object","null"],"properties":{"id":{"type":"string","format":"uuid"},"count":{"type":["string","integer"],"pattern":"^-?(?:0|[1-9]\\d*)$"},
            "ratio":{"anyOf":[{"type":"number"},{"enum":["NaN","Infinity","-Infinity"]}]},"letter":{"type":"string","minLength":1,"maxLength":1},
            "day":{"enum":["Monday","Tuesday",null]},"span":{"type":"string","pattern":"^-?(\\d+\\.)?\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,7})?$"},"link":{"type":["string","null"],"format":"uri"},
            "map":{"type":["object","null"],"additionalProperties":{"type":"integer"}},"raw":true,"next":{"$ref":"#"},"items":{"type":"array","items":{"$ref":"#/properties/map"}}},
            "required":["id","count"]}
            """,
            """
            null
            {"id":"123e4567-e89b-12d3-a456-426614174000","count":3}
            {"id":"123e4567-e89b-12d3-a456-426614174000","count":"3","ratio":"NaN","letter":"x","day":null,"span":"1.02:03:04.5","link":null,"map":{"a":1},"raw":{},"next":null,"items":[null,{}]}
            """,
            """
            {"id":"x","count":3}
            {"id":"123e4567-e89b-12d3-a456-426614174000","count":"x"}
            {"id":"123e4567-e89b-12d3-a456-426614174000","count":1.5}
            {"id":"123e4567-e89b-12d3-a456-426614174000","count":3,"day":"Sunday"}
            {"id":"123e4567-e89b-12d3-a456-426614174000","count":3,"letter":"xy"}
            {"id":"123e4567-e89b-12d3-a456-426614174000","count":3,"next":{}}
            """
        },
        {
            ".NET: a polymorphic class", """
            {"type":"object","required":["$type"],"anyOf":[
            {"properties":{"$type":{"const":"circle"},"radius":{"type":"number"}},"required":["radius"]},
            {"properties":{"$type":{"const":"group"},"parts":{"type":"array","items":{"$ref":"#"}}}}]}
            """,
            """
            {"$type":"circle","radius":1}
            {"$type":"group","parts":[{"$type":"circle","radius":2},{"$type":"group"}]}
            """,
            """
            {"$type":"circle"}
            {"radius":1}
            {"$type":"group","parts":[{"radius":1}]}
            {"$type":"square"}
            """
        },
        {
            "by hand: what stands beside references and alternatives", """
            {"type":"object","properties":{"a":{"$ref":"#/$defs/text","maxLength":3},"n":{"type":["string","number"],"oneOf":[{"type":"string","maxLength":2},{"type":"integer"},{"type":"null"}]},
            "t":{"$ref":"#/$defs/tree","type":"object"},"o":{"oneOf":[{"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"string"}},{"enum":[1,2]},{"const":3}]}},
            "$defs":{"text":{"type":"string","pattern":"^a"},"tree":{"type":["object","null"],"properties":{"next":{"$ref":"#/$defs/tree","type":"object"}}}},
            "anyOf":[{"required":["a"]},{"required":["n"]}]}
            """,
            """
            {"a":"abc"}
            {"n":"ab"}
            {"n":5,"t":{"next":{"next":{}}},"o":[1,"x"]}
            {"a":"a","n":1,"o":3}
            """,
            """
            {}
            {"t":{}}
            {"a":"abcd"}
            {"a":"b"}
            {"n":null}
            {"n":1.5}
            {"a":"a","t":{"next":null}}
            {"a":"a","o":[1,2]}
            {"a":"a","o":4}
            """
        },
    };

    [Theory]
    [MemberData(nameof(Schemas))]
    public void A_schema_takes_its_documents_and_no_others(string name, string schema, string taken, string refused)
    {
        Grammar grammar = Compile(schema);
        Assert.All(Lines(taken), text => Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(text)), $"{name}: {text}"));
        Assert.All(Lines(refused), text => Assert.False(grammar.Accepts(Encoding.UTF8.GetBytes(text)), $"{name}: {text}"));
        Assert.All(Lines(taken), text => Assert.Null(SchemaChecker.FindFault(JsonElement.Parse(schema), JsonElement.Parse(text))));
        Assert.All(Lines(taken), text => Assert.True(
            grammar.Accepts(Encoding.UTF8.GetBytes(JsonWriting.Indented(JsonElement.Parse(text), "  "))), $"{name}, indented: {text}"));
    }

    [Theory]
    [MemberData(nameof(Schemas))]
    public void Whatever_is_written_under_it_is_valid(string name, string schema, string taken, string refused)
    {
        Assert.NotEqual(taken, refused);
        for (int seed = 0; seed < 24; seed++)
        {
            string answer = RandomAnswer.Shipped.Write(schema, seed, forces: seed % 2 == 0);
            string? fault = SchemaChecker.FindFault(JsonElement.Parse(schema), JsonElement.Parse(answer));
            Assert.True(fault == null, $"{name}, seed {seed}: {fault}\n{answer}");
        }
    }

    [Theory]
    [InlineData("""{"oneOf":[{"type":"string"},{"type":"string","maxLength":3}]}""", "", "alternatives 0 and 1 of 'oneOf' are told apart neither by their type nor by a constant property; use 'anyOf', or add one")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "", "alternatives 0 and 1 of 'oneOf' are told apart neither by their type nor by a constant property; use 'anyOf', or add one")]
    [InlineData("""{"items":{"oneOf":[{"properties":{"a":{"const":1}}},{"properties":{"a":{"enum":[1,2]}}}]}}""", "items", "alternatives 0 and 1 of 'oneOf' are told apart neither by their type nor by a constant property; use 'anyOf', or add one")]
    [InlineData("""{"patternProperties":{"^a":{},"b$":{}}}""", "patternProperties/b$", "matches names that another one of 'patternProperties' matches too; make them exclude each other")]
    [InlineData("""{"propertyNames":{"minimum":1}}""", "propertyNames", "'minimum' is not supported for names; 'pattern', 'enum' and the length are")]
    [InlineData("""{"properties":{"a":{"type":"array","uniqueItems":true}}}""", "properties/a", "'uniqueItems' is not supported; leave it out and remove duplicates from the answer")]
    [InlineData("""{"properties":{"a":{"not":{"type":"string"}}}}""", "properties/a", "'not' is not supported; list what is allowed instead")]
    [InlineData("""{"minProperties":1}""", "", "'minProperties' is not supported; use 'required', or an array of pairs with 'minItems' and 'maxItems'")]
    [InlineData("""{"allOf":[{"multipleOf":2,"type":"integer"},{"multipleOf":3}]}""", "", "two different 'multipleOf' that hold together are not supported")]
    [InlineData("""{"type":"string","pattern":"((?=a)b)*"}""", "", "'pattern' has a look-ahead in a repetition, which is not supported")]
    [InlineData("""{"type":"string","pattern":"(?<=a)b"}""", "", "'pattern' has a look-behind or an unknown group at character 3, which is not supported")]
    [InlineData("""{"properties":{"a":{"$ref":"#/$defs/x","type":"string"}},"$defs":{"x":{"$ref":"#/$defs/y","type":"string"},"y":{"$ref":"#/$defs/x","title":"y"}}}""", "properties/a", "it refers to itself with nothing in between")]
    public void What_can_not_be_enforced_is_refused_with_its_place_and_a_way_out(string schema, string path, string reason)
    {
        var error = Assert.Throws<GrammarException>(() => Compile(schema));
        Assert.Equal((path, reason), (string.Join('/', error.Path), error.Message));
    }

    [Fact]
    public void A_format_that_is_not_known_is_an_annotation_unless_the_schema_is_strict()
    {
        const string Schema = """{"type":"object","properties":{"link":{"type":"string","format":"uri"}},"required":["link"]}""";
        Assert.True(Compile(Schema).Accepts("""{"link":"anything"}"""u8));
        var error = Assert.Throws<GrammarException>(() => Grammar.FromJsonSchema(JsonElement.Parse(Schema), isStrict: true));
        Assert.Equal("properties/link", string.Join('/', error.Path));
        Assert.StartsWith("'format' 'uri' is not supported; these are: date-time,", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Merging_is_bounded()
    {
        // Each level is two alternatives beside two others: 4, 16, 256, 65536 pairs.
        string Level(int i) => $$"""{"allOf":[{"$ref":"#/$defs/l{{i + 1}}"},{"$ref":"#/$defs/l{{i + 1}}","title":"x","minLength":{{i}}}],"anyOf":[{"minLength":1},{"maxLength":{{i + 5}}}]}""";
        string levels = string.Join(',', Enumerable.Range(0, 30).Select(i => $"\"l{i}\":{Level(i)}"));
        var error = Assert.Throws<GrammarException>(() => Compile($$"""{"$ref":"#/$defs/l0","$defs":{"l30":{"type":"string"},{{levels}}} }"""));
        Assert.Contains("more than", error.Message, StringComparison.Ordinal);
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static Grammar Compile(string schema) => Grammar.FromJsonSchema(JsonElement.Parse(schema));
}
