using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>
/// Reads vLLM's parameters for structured outputs: <c>guided_json</c>, and <c>structured_outputs</c>, which has replaced it. The forms that are
/// not JSON are refused: an answer that ignored them would look as if it had kept to them.
/// </summary>
internal static class GuidedParameters
{
    private static readonly string[] s_refused = ["guided_regex", "guided_choice", "guided_grammar"];

    /// <summary>The schema that they ask for; null if there is none.</summary>
    public static ResponseSchema? Read(ParameterReader parameters)
    {
        foreach (var name in s_refused)
        {
            if (parameters.Find(name) is not null) parameters.Fail(NotSupported(name));
        }

        if (ReadSchema(parameters, "guided_json") is { } guided) return guided;
        if (parameters.Find("structured_outputs", JsonValueKind.Object, "an object") is not { } outputs) return null;
        var members = new ParameterReader(outputs, "structured_outputs");
        foreach (var name in (ReadOnlySpan<string>)["regex", "choice", "grammar", "structural_tag"])
        {
            if (members.Find(name) is not null) members.Fail(NotSupported(members.PathOf(name)));
        }

        var schema = members.Boolean("json_object") == true ? new ResponseSchema("", null) : ReadSchema(members, "json");
        parameters.Fail(members.Error);
        return schema;
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

    private static ApiError NotSupported(string name) => ApiErrors.NotInMessages(name, "use 'response_format' with a JSON schema");
}
