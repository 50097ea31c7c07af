using System.Text.Json;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Turns JSON into values, as Python's <c>json.loads</c> does.</summary>
internal static class JsonValueReader
{
    public static TemplateValue Read(JsonElement element, bool isInput, int depth = 0)
    {
        if (depth > ChatTemplateLimits.ValueDepthMax)
        {
            throw new ChatTemplateException($"A value is nested deeper than {ChatTemplateLimits.ValueDepthMax} levels.");
        }

        return element.ValueKind switch
        {
            JsonValueKind.Object => ReadObject(element, isInput, depth),
            JsonValueKind.Array => ReadArray(element, isInput, depth),
            JsonValueKind.String => ReadText(GetText(() => element.GetString()!), isInput),
            JsonValueKind.Number => ReadNumber(element),
            JsonValueKind.True => BooleanValue.Of(true),
            JsonValueKind.False => BooleanValue.Of(false),
            _ => NoneValue.Instance,
        };
    }

    private static TextValue ReadText(string text, bool isInput) => isInput ? TextValue.OfInput(text) : new TextValue(text);

    private static string GetText(Func<string> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException error)
        {
            throw new ChatTemplateException("A JSON string has half of a surrogate pair.", error);
        }
    }

    private static MappingValue ReadObject(JsonElement element, bool isInput, int depth)
    {
        var mapping = new MappingValue();
        foreach (var property in element.EnumerateObject())
        {
            mapping.Items[ReadText(GetText(() => property.Name), isInput)] = Read(property.Value, isInput, depth + 1);
        }

        return mapping.Freeze();
    }

    private static SequenceValue ReadArray(JsonElement element, bool isInput, int depth)
    {
        var items = new List<TemplateValue>(element.GetArrayLength());
        foreach (var item in element.EnumerateArray())
        {
            items.Add(Read(item, isInput, depth + 1));
        }

        return new SequenceValue(SequenceKind.List, items, isFrozen: true);
    }

    private static TemplateValue ReadNumber(JsonElement element)
    {
        string digits = element.GetRawText();
        bool isInteger = digits.AsSpan().IndexOfAny(".eE") < 0;
        if (!isInteger) return new FloatValue(element.GetDouble());
        return element.TryGetInt64(out long integer) ? new IntegerValue(integer) : new FloatValue(element.GetDouble(), digits);
    }
}
