using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>
/// Reads vLLM's parameters for structured outputs: <c>guided_json</c>, <c>guided_regex</c>, <c>guided_choice</c>, and
/// <c>structured_outputs</c>, which has replaced them. Its other forms are refused: an answer that ignored them would look as if it had kept
/// to them.
/// </summary>
internal static class GuidedParameters
{
    /// <summary>What they ask for; null if there is nothing. Several of them at a time are a fault.</summary>
    public static ResponseSchema? Read(ParameterReader parameters)
    {
        if (parameters.Find("guided_grammar") is not null) parameters.Fail(NotSupported("guided_grammar"));
        List<(string Param, ResponseSchema? Guide)> guides =
        [
            ("guided_json", ReadSchema(parameters, "guided_json")),
            ("guided_regex", ReadPattern(parameters, "guided_regex")),
            ("guided_choice", ReadTexts(parameters, "guided_choice")),
        ];
        if (parameters.Find("structured_outputs", JsonValueKind.Object, "an object") is { } outputs)
        {
            var members = new ParameterReader(outputs, "structured_outputs");
            foreach (var name in (ReadOnlySpan<string>)["grammar", "structural_tag"])
            {
                if (members.Find(name) is not null) members.Fail(NotSupported(members.PathOf(name)));
            }

            guides.Add((members.PathOf("json_object"), members.Boolean("json_object") == true ? new ResponseSchema("", null) : null));
            guides.Add((members.PathOf("json"), ReadSchema(members, "json")));
            guides.Add((members.PathOf("regex"), ReadPattern(members, "regex")));
            guides.Add((members.PathOf("choice"), ReadTexts(members, "choice")));
            parameters.Fail(members.Error);
        }

        guides.RemoveAll(static guide => guide.Guide is null);
        if (guides is [var first, var second, ..]) parameters.Fail(ApiErrors.TwoGuides(first.Param, second.Param));
        return guides.Count == 0 ? null : guides[0].Guide;
    }

    // A schema comes as an object, or as its text.
    private static ResponseSchema? ReadSchema(ParameterReader parameters, string name)
    {
        if (parameters.Find(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.String)
        {
            try
            {
                value = JsonElement.Parse(value.GetString()!);
            }
            catch (JsonException)
            {
                parameters.Fail(ApiErrors.InvalidType(parameters.PathOf(name), "a JSON schema", "text that isn't JSON"));
                return null;
            }
        }

        if (value.ValueKind == JsonValueKind.Object) return new ResponseSchema(name, value);
        parameters.Fail(ApiErrors.InvalidType(parameters.PathOf(name), "an object", ApiErrors.Describe(value)));
        return null;
    }

    private static ResponseSchema? ReadPattern(ParameterReader parameters, string name) =>
        parameters.Text(name) is { } pattern ? new ResponseSchema(parameters.PathOf(name), null) { Pattern = pattern } : null;

    private static ResponseSchema? ReadTexts(ParameterReader parameters, string name)
    {
        if (parameters.Find(name, JsonValueKind.Array, "an array of strings") is not { } array) return null;
        var path = parameters.PathOf(name);
        var count = array.GetArrayLength();
        if (count == 0) parameters.Fail(ApiErrors.EmptyArray(path));
        if (count > ProtocolLimits.GuidedTextsMax) parameters.Fail(ApiErrors.ArrayTooLong(path, ProtocolLimits.GuidedTextsMax, count));
        var texts = new List<string>();
        foreach (var text in array.EnumerateArray())
        {
            if (parameters.Error is not null) return null;
            if (text.ValueKind == JsonValueKind.String) texts.Add(text.GetString()!);
            else parameters.Fail(ApiErrors.InvalidType(string.Create(CultureInfo.InvariantCulture, $"{path}[{texts.Count}]"), "a string", ApiErrors.Describe(text)));
        }

        return new ResponseSchema(path, null) { Texts = texts };
    }

    private static ApiError NotSupported(string name) => ApiErrors.NotInMessages(name, "use 'response_format' with a JSON schema");
}
