using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>
/// Reads the members of one JSON object by name and keeps the first fault: after it every read returns nothing. A member that is
/// <c>null</c> reads as absent.
/// </summary>
/// <param name="element">An object.</param>
/// <param name="path">Path of the object, for errors; empty at the root.</param>
internal sealed class ParameterReader(JsonElement element, string path = "")
{
    /// <summary>The first fault; null while there is none.</summary>
    public ApiError? Error { get; private set; }

    /// <summary>Keeps <paramref name="error"/> unless an earlier fault is kept.</summary>
    public void Fail(ApiError? error) => Error ??= error;

    /// <summary>Path of a member.</summary>
    public string PathOf(string name) => path.Length == 0 ? name : $"{path}.{name}";

    /// <summary>The member, or null where it is absent, <c>null</c>, or a fault came first.</summary>
    public JsonElement? Find(string name) =>
        Error is null && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>The member, which must be of a kind.</summary>
    /// <param name="name">Name of the member.</param>
    /// <param name="kind">Kind that it must have.</param>
    /// <param name="expected">The kind in words, with its article.</param>
    public JsonElement? Find(string name, JsonValueKind kind, string expected)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind == kind) return value;
        Fail(ApiErrors.InvalidType(PathOf(name), expected, ApiErrors.Describe(value)));
        return null;
    }

    /// <summary>The member, which must be there and of a kind.</summary>
    public JsonElement? Require(string name, JsonValueKind kind, string expected)
    {
        if (Find(name) is null)
        {
            Fail(ApiErrors.MissingParameter(PathOf(name)));
            return null;
        }

        return Find(name, kind, expected);
    }

    public bool? Boolean(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        Fail(ApiErrors.InvalidType(PathOf(name), "a boolean", ApiErrors.Describe(value)));
        return null;
    }

    public string? Text(string name, int lengthMax = int.MaxValue) =>
        CheckLength(name, Find(name, JsonValueKind.String, "a string"), lengthMax);

    public string? RequireText(string name, int lengthMax = int.MaxValue) =>
        CheckLength(name, Require(name, JsonValueKind.String, "a string"), lengthMax);

    public long? Integer(string name, long min, long max)
    {
        if (Find(name) is not { } value) return null;
        var fault = CheckInteger(value, PathOf(name), min, max, out var result);
        Fail(fault);
        return fault is null ? result : null;
    }

    public double? Decimal(string name, double min, double max, bool minIsExcluded = false)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.Number)
        {
            Fail(ApiErrors.InvalidType(PathOf(name), "a decimal", ApiErrors.Describe(value)));
            return null;
        }

        // A number too large for a double reads as infinity, which is out of every range.
        var result = value.GetDouble();
        if (result > max)
        {
            var bound = string.Create(CultureInfo.InvariantCulture, $"<= {max}");
            Fail(ApiErrors.OutOfRange(PathOf(name), "decimal", isAbove: true, bound, value.GetRawText()));
            return null;
        }

        if (result < min || (minIsExcluded && result == min))
        {
            var bound = string.Create(CultureInfo.InvariantCulture, $"{(minIsExcluded ? ">" : ">=")} {min}");
            Fail(ApiErrors.OutOfRange(PathOf(name), "decimal", isAbove: false, bound, value.GetRawText()));
            return null;
        }

        return result;
    }

    /// <summary>A string that must be one of a few.</summary>
    /// <param name="name">Name of the member.</param>
    /// <param name="values">In the order in which an error lists them; at least two.</param>
    public string? Choice(string name, ReadOnlySpan<string> values)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.String)
        {
            Fail(ApiErrors.InvalidType(PathOf(name), $"one of {Join(values, "or")}", ApiErrors.Describe(value)));
            return null;
        }

        var text = value.GetString()!;
        if (values.Contains(text)) return text;
        Fail(ApiErrors.InvalidValue(PathOf(name), text, Join(values, "and")));
        return null;
    }

    /// <summary>Checks one number; used for array elements and map values too.</summary>
    public static ApiError? CheckInteger(JsonElement value, string path, long min, long max, out long result)
    {
        result = 0;
        if (value.ValueKind != JsonValueKind.Number || !ApiErrors.IsInteger(value))
        {
            return ApiErrors.InvalidType(path, "an integer", ApiErrors.Describe(value));
        }

        var isInt64 = value.TryGetInt64(out result);
        var raw = value.GetRawText();
        if (isInt64 ? result > max : raw[0] != '-') return ApiErrors.OutOfRange(path, "integer", isAbove: true, $"<= {max}", raw);
        return !isInt64 || result < min ? ApiErrors.OutOfRange(path, "integer", isAbove: false, $">= {min}", raw) : null;
    }

    /// <summary><c>'a', 'b', and 'c'</c>; of two <c>'a' and 'b'</c>.</summary>
    public static string Join(ReadOnlySpan<string> values, string conjunction)
    {
        if (values.Length == 1) return $"'{values[0]}'";
        var separator = values.Length > 2 ? "," : "";
        return $"'{string.Join("', '", values[..^1]!)}'{separator} {conjunction} '{values[^1]}'";
    }

    private string? CheckLength(string name, JsonElement? found, int lengthMax)
    {
        if (found is not { } value) return null;
        var text = value.GetString()!;
        var length = JsonStrings.CountCharacters(text);
        if (length <= lengthMax) return text;
        Fail(ApiErrors.StringTooLong(PathOf(name), lengthMax, length));
        return null;
    }
}
