using System.Globalization;
using System.Text.Json;

namespace Sluice.Protocol.Errors;

/// <content>The errors about one parameter. Paths are the API's: <c>messages[0].content[1].type</c>.</content>
public static partial class ApiErrors
{
    /// <summary>400: the body is JSON but no object.</summary>
    public static ApiError BodyNotAnObject(string got) => Invalid(
        $"Invalid type for the request body: expected an object, but got {got} instead.", param: null, "invalid_type");

    /// <summary>400: a parameter that must be there is not.</summary>
    public static ApiError MissingParameter(string path) => Invalid(
        $"Missing required parameter: '{path}'.", path, "missing_required_parameter");

    /// <summary>400: a value of another JSON type.</summary>
    /// <param name="path">Path of the parameter.</param>
    /// <param name="expected">With its article, such as <c>an integer</c>.</param>
    /// <param name="got">With its article, such as <c>a string</c>.</param>
    public static ApiError InvalidType(string path, string expected, string got) => Invalid(
        $"Invalid type for '{path}': expected {expected}, but got {got} instead.", path, "invalid_type");

    /// <summary>400: a string that is none of those known.</summary>
    /// <param name="path">Path of the parameter.</param>
    /// <param name="value">As it was sent; long ones are elided.</param>
    /// <param name="supported">As a sentence lists them: <c>'none', 'auto', and 'required'</c>.</param>
    public static ApiError InvalidValue(string path, string value, string supported) => Invalid(
        $"Invalid value: '{Elide(value)}'. Supported values are: {supported}.", path, "invalid_value");

    /// <summary>400: a number beyond its bounds.</summary>
    /// <param name="path">Path of the parameter.</param>
    /// <param name="kind"><c>integer</c> or <c>decimal</c>.</param>
    /// <param name="isAbove">Whether it is above the maximum, or else below the minimum.</param>
    /// <param name="bound">With its sign: <c>&lt;= 2</c>.</param>
    /// <param name="got">As it was sent; long ones are elided.</param>
    public static ApiError OutOfRange(string path, string kind, bool isAbove, string bound, string got) => Invalid(
        $"Invalid '{path}': {kind} {(isAbove ? "above maximum" : "below minimum")} value. "
        + $"Expected a value {bound}, but got {Elide(got)} instead.",
        path,
        $"{kind}_{(isAbove ? "above_max" : "below_min")}_value");

    /// <summary>400: an array that needs at least one element has none.</summary>
    public static ApiError EmptyArray(string path) => Invalid(
        $"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead.", path, "empty_array");

    /// <summary>400: an array has too many elements.</summary>
    public static ApiError ArrayTooLong(string path, int max, int got) => Invalid(
        string.Create(
            CultureInfo.InvariantCulture,
            $"Invalid '{path}': array too long. Expected an array with maximum length {max}, but got an array with length {got} instead."),
        path,
        "array_above_max_length");

    /// <summary>400: a string that needs at least one character has none.</summary>
    public static ApiError EmptyString(string path) => Invalid(
        $"Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty string instead.", path, "empty_string");

    /// <summary>400: a string has too many characters.</summary>
    public static ApiError StringTooLong(string path, int max, int got) => Invalid(
        string.Create(
            CultureInfo.InvariantCulture,
            $"Invalid '{path}': string too long. Expected a string with maximum length {max}, but got a string with length {got} instead."),
        path,
        "string_above_max_length");

    /// <summary>400: a name has a character that names do not have.</summary>
    public static ApiError PatternMismatch(string path, string pattern) => Invalid(
        $"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.", path, "invalid_value");

    /// <summary>400: an object has too many properties.</summary>
    public static ApiError TooManyProperties(string path, int max, int got) => Invalid(
        string.Create(
            CultureInfo.InvariantCulture,
            $"Invalid '{path}': too many properties. Expected an object with at most {max} properties, "
            + $"but got an object with {got} properties instead."),
        path,
        "object_above_max_properties");

    /// <summary>400: a key of an object has too many characters.</summary>
    public static ApiError PropertyNameTooLong(string path, string name, int max, int got) => Invalid(
        string.Create(
            CultureInfo.InvariantCulture,
            $"Invalid property name in '{path}': '{Elide(name)}' is too long. Expected a string with maximum length {max}, "
            + $"but got a string with length {got} instead."),
        $"{path}.{Elide(name)}",
        "property_name_above_max_length");

    /// <summary>400: a key of a logit bias is no token id.</summary>
    public static ApiError InvalidTokenId(string key) => Invalid(
        $"Invalid key in 'logit_bias': {Elide(key)}. You should only be submitting non-negative integers.", "logit_bias", "invalid_value");

    /// <summary>400: a message without content that needs it.</summary>
    public static ApiError NullContent(int messageIndex) => Invalid(
        "Invalid value for 'content': expected a string, got null.", DottedPath(messageIndex, "content"), code: null);

    /// <summary>400: a tool message that answers nothing.</summary>
    public static ApiError OrphanToolMessage(int messageIndex) => Invalid(
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        DottedPath(messageIndex, "role"),
        code: null);

    /// <summary>400: a tool message that answers a call which the assistant did not make.</summary>
    public static ApiError UnknownToolCallId(int messageIndex, string id) => Invalid(
        $"Invalid parameter: 'tool_call_id' of '{Elide(id)}' not found in 'tool_calls' of previous message.",
        DottedPath(messageIndex, "tool_call_id"),
        code: null);

    /// <summary>400: calls without an answer.</summary>
    /// <param name="nextMessageIndex">The message that stands where an answer should; null when the conversation ends there.</param>
    /// <param name="ids">The calls' ids, joined by commas.</param>
    public static ApiError UnansweredToolCalls(int? nextMessageIndex, string ids) => Invalid(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        + $"The following tool_call_ids did not have response messages: {Elide(ids)}",
        nextMessageIndex is { } index ? DottedPath(index, "role") : "messages",
        code: null);

    /// <summary>400: a parameter that makes sense only with another one.</summary>
    public static ApiError OnlyAllowedWhenEnabled(string path, string other) => Invalid(
        $"The '{path}' parameter is only allowed when '{other}' is enabled.", path, code: null);

    /// <summary>400: a choice among tools without tools.</summary>
    public static ApiError OnlyAllowedWithTools(string path, string tools) => Invalid(
        $"Invalid value for '{path}': '{path}' is only allowed when '{tools}' are specified.", path, code: null);

    /// <summary>400: a choice of a tool that is not among the tools.</summary>
    public static ApiError UnknownToolName(string path, string name, string tools) => Invalid(
        $"Invalid value for '{path}': no function named '{Elide(name)}' was specified in the '{tools}' parameter.", path, code: null);

    /// <summary>400: a JSON schema that can't be followed.</summary>
    /// <param name="param">The parameter that it belongs to, such as <c>response_format</c>.</param>
    /// <param name="name">What the request calls the schema; may be empty.</param>
    /// <param name="path">Member names and indexes from the schema's root to the fault.</param>
    /// <param name="reason">What is wrong there, as the end of a sentence.</param>
    public static ApiError InvalidSchema(string param, string name, IReadOnlyList<string> path, string reason)
    {
        ArgumentNullException.ThrowIfNull(path);
        // The API writes the path as Python does a tuple.
        var context = string.Join(", ", path.Select(static segment => $"'{segment}'")) + (path.Count == 1 ? "," : "");
        return Invalid($"Invalid schema for {param} '{name}': In context=({Elide(context)}), {Elide(reason, 2 * ProtocolLimits.EchoLengthMax)}.", param, code: null);
    }

    /// <summary>400: a strict function's JSON schema that can't be followed.</summary>
    /// <param name="param"><c>tools</c> or <c>functions</c>.</param>
    /// <param name="name">Name of the function.</param>
    /// <param name="path">Member names and indexes from the schema's root to the fault.</param>
    /// <param name="reason">What is wrong there, as the end of a sentence.</param>
    public static ApiError InvalidFunctionSchema(string param, string name, IReadOnlyList<string> path, string reason) =>
        InvalidSchema("function", name, path, reason) with { Param = param, Code = "invalid_function_parameters" };

    /// <summary>400: a pattern, or texts, that an answer can't be held to.</summary>
    /// <param name="param">The parameter that has them.</param>
    /// <param name="reason">What is wrong, as the end of a sentence.</param>
    public static ApiError InvalidGuide(string param, string reason) =>
        Invalid($"Invalid value: '{param}' can't be followed: {Elide(reason, 2 * ProtocolLimits.EchoLengthMax)}.", param, "invalid_value");

    /// <summary>400: two parameters that each say what the whole answer has to be.</summary>
    public static ApiError TwoGuides(string param, string other) =>
        Invalid($"Invalid request: '{param}' and '{other}' can't hold at once: send one of them.", other, code: null);

    /// <summary>400: an answer can't both continue a message and begin one.</summary>
    public static ApiError ContinuesAndBegins() => Invalid(
        "Invalid request: 'continue_final_message' and 'add_generation_prompt' can't both be true: set 'add_generation_prompt' to false.",
        "continue_final_message", "invalid_value");

    /// <summary>400: the conversation doesn't end with what could be continued.</summary>
    public static ApiError NothingToContinue() => Invalid(
        "Invalid request: 'continue_final_message' needs an assistant's message with text at the end of 'messages'.", "continue_final_message", "invalid_value");

    /// <summary>400: a custom tool's pattern that can't be followed.</summary>
    /// <param name="name">Name of the tool.</param>
    /// <param name="reason">What is wrong with the pattern, as the end of a sentence.</param>
    public static ApiError InvalidToolPattern(string name, string reason) => Invalid(
        $"Invalid grammar for custom tool '{name}': {Elide(reason, 2 * ProtocolLimits.EchoLengthMax)}.", "tools", "invalid_custom_tool_grammar");

    /// <summary>400: valid, and beyond what the local engine can do today.</summary>
    public static ApiError NotYetLocal(string path) => Invalid(
        $"Unsupported parameter: '{path}' is not supported by the local engine yet.", path, "unsupported_parameter");

    /// <summary>400: an image, a sound or a file for a model that reads text only.</summary>
    /// <param name="type">The part's <c>type</c>.</param>
    /// <param name="messageIndex">Of its message, from 0.</param>
    /// <param name="partIndex">In its message, from 0.</param>
    public static ApiError MediaNotSupported(string type, int messageIndex, int partIndex) => Invalid(
        $"Invalid content type. {type} is only supported by certain models.",
        string.Create(CultureInfo.InvariantCulture, $"messages.[{messageIndex}].content.[{partIndex}].type"),
        code: null);

    /// <summary>What a value is, with its article, as the API names it.</summary>
    internal static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "a string",
        JsonValueKind.Number => IsInteger(value) ? "an integer" : "a decimal number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        _ => "null",
    };

    /// <summary>Whether a number is written without fraction and exponent: the API refuses 1.0 where it wants an integer.</summary>
    internal static bool IsInteger(JsonElement number) => number.GetRawText().AsSpan().IndexOfAny('.', 'e', 'E') < 0;

    private static string DottedPath(int messageIndex, string member) =>
        string.Create(CultureInfo.InvariantCulture, $"messages.[{messageIndex}].{member}");
}
