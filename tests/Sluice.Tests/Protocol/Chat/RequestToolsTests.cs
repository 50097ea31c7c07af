using Sluice.Protocol.Chat;
using Xunit;
using static Sluice.Tests.Protocol.Chat.RequestReading;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>Tools and response formats: V-12 to V-14, F-16 and their rows of the error table.</summary>
public sealed class RequestToolsTests
{
    private const string Tool = """{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}""";

    [Theory]
    [InlineData("\"tools\":\"none\"", "Invalid type for 'tools': expected an array of objects, but got a string instead.", "tools", "invalid_type")]
    [InlineData("\"tools\":[{}]", "Missing required parameter: 'tools[0].type'.", "tools[0].type", "missing_required_parameter")]
    [InlineData("\"tools\":[{\"type\":\"x\"}]", "Invalid value: 'x'. Supported values are: 'function' and 'custom'.", "tools[0].type", "invalid_value")]
    [InlineData("\"tools\":[{\"type\":\"function\"}]", "Missing required parameter: 'tools[0].function'.", "tools[0].function", "missing_required_parameter")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{\"parameters\":{}}}]", "Missing required parameter: 'tools[0].function.name'.", "tools[0].function.name", "missing_required_parameter")]
    [InlineData(
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"\"}}]",
        "Invalid 'tools[0].function.name': empty string. Expected a string with minimum length 1, but got an empty string instead.",
        "tools[0].function.name",
        "empty_string")]
    [InlineData(
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]",
        "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        "tools[0].function.name",
        "invalid_value")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":7}}]", "Invalid type for 'tools[0].function.parameters': expected an object, but got an integer instead.", "tools[0].function.parameters", "invalid_type")]
    [InlineData("\"functions\":[{\"parameters\":{}}]", "Missing required parameter: 'functions[0].name'.", "functions[0].name", "missing_required_parameter")]
    [InlineData("\"functions\":\"x\"", "Invalid type for 'functions': expected an array of function definitions, but got a string instead.", "functions", "invalid_type")]
    [InlineData("\"tool_choice\":\"required\"", "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice", null)]
    [InlineData("\"function_call\":{\"name\":\"f\"}", "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.", "function_call", null)]
    [InlineData("\"tool_choice\":7", "Invalid type for 'tool_choice': expected one of one of 'none', 'auto', or 'required' or object, but got an integer instead.", "tool_choice", "invalid_type")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":\"bogus\"", "Invalid value: 'bogus'. Supported values are: 'none', 'auto', and 'required'.", "tool_choice", "invalid_value")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{}", "Missing required parameter: 'tool_choice.type'.", "tool_choice.type", "missing_required_parameter")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"bogus\"}", "Missing required parameter: 'tool_choice.function'.", "tool_choice.function", "missing_required_parameter")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"function\",\"function\":{}}", "Missing required parameter: 'tool_choice.function.name'.", "tool_choice.function.name", "missing_required_parameter")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}", "Invalid value for 'tool_choice': no function named 'g' was specified in the 'tools' parameter.", "tool_choice", null)]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{}}", "Missing required parameter: 'tool_choice.allowed_tools.mode'.", "tool_choice.allowed_tools.mode", "missing_required_parameter")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[]}}", "Invalid 'tool_choice.allowed_tools.tools': empty array. Expected an array with minimum length 1, but got an empty array instead.", "tool_choice.allowed_tools.tools", "empty_array")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}}", "Invalid value for 'tool_choice': no function named 'g' was specified in the 'tools' parameter.", "tool_choice", null)]
    [InlineData("\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"c\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"ebnf\",\"definition\":\"x\"}}}}]", "Invalid value: 'ebnf'. Supported values are: 'lark' and 'regex'.", "tools[0].custom.format.grammar.syntax", "invalid_value")]
    [InlineData("\"response_format\":\"json\"", "Invalid type for 'response_format': expected an object, but got a string instead.", "response_format", "invalid_type")]
    [InlineData("\"response_format\":{}", "Missing required parameter: 'response_format.type'.", "response_format.type", "missing_required_parameter")]
    [InlineData("\"response_format\":{\"type\":\"bogus\"}", "Invalid value: 'bogus'. Supported values are: 'json_object', 'json_schema', and 'text'.", "response_format.type", "invalid_value")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\"}", "Missing required parameter: 'response_format.json_schema'.", "response_format.json_schema", "missing_required_parameter")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}", "Missing required parameter: 'response_format.json_schema.name'.", "response_format.json_schema.name", "missing_required_parameter")]
    public void A_tool_or_format_with_a_fault_is_refused_with_its_path(string members, string message, string param, string? code) =>
        Refuse(Body(members), message, param, code);

    [Fact]
    public void Tools_are_bounded()
    {
        Accept(Body($"\"tools\":[{string.Join(',', Enumerable.Repeat(Tool, 128))}]"));
        Refuse(
            Body($"\"tools\":[{string.Join(',', Enumerable.Repeat(Tool, 132))}]"),
            "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 132 instead.",
            "tools",
            "array_above_max_length");
        var name = new string('f', 65);
        Refuse(
            Body($$$"""
                "tools":[{"type":"function","function":{"name":"{{{name}}}"}}]
                """),
            "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64, but got a string with length 65 instead.",
            "tools[0].function.name",
            "string_above_max_length");
    }

    [Fact]
    public void V14_A_response_format_is_read()
    {
        Assert.Null(Accept(Body("\"response_format\":{\"type\":\"text\"}")).ResponseSchema);
        Assert.Equal(new ResponseSchema("", null), Accept(Body("\"response_format\":{\"type\":\"json_object\"}")).ResponseSchema);
        var named = Accept(Body("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\",\"schema\":{\"x\":1},\"strict\":true}}"));
        Assert.Equal(("s", "{\"x\":1}"), (named.ResponseSchema?.Name, named.ResponseSchema?.Schema?.GetRawText()));
    }

    // Valid for the API; the local engine says honestly that it cannot do it yet.
    [Theory]
    [InlineData("\"modalities\":[\"text\",\"audio\"]", "Unsupported parameter: 'modalities' is not supported by the local engine yet.", "modalities", "unsupported_parameter")]
    public void What_the_local_engine_cannot_do_yet_is_valid_and_refused_by_it(string members, string message, string param, string code)
    {
        var refusal = Accept(Body(members)).FindLocalRefusal();
        Assert.NotNull(refusal);
        AssertFourKeys(refusal);
        Assert.Equal((400, message, "invalid_request_error", param, code), (refusal.Status, refusal.Message, refusal.Type, refusal.Param, refusal.Code));
    }

    [Theory]
    [InlineData("\"response_format\":{\"type\":\"text\"}")]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\",\"schema\":{}}}")]
    [InlineData("\"modalities\":[\"text\"]")]
    [InlineData("\"parallel_tool_calls\":true")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":\"none\",\"response_format\":{\"type\":\"json_object\"}")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}")]
    [InlineData("\"functions\":[{\"name\":\"f\"}],\"function_call\":{\"name\":\"f\"}")]
    [InlineData("\"tools\":[" + Tool + "],\"response_format\":{\"type\":\"json_object\"}")]
    [InlineData("\"tools\":[" + Tool + ",{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}],\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}")]
    [InlineData("\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}")]
    public void Text_calls_and_values_under_a_schema_are_not_refused(string members) => Assert.Null(Accept(Body(members)).FindLocalRefusal());
}
