using System.Text.Json;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>To JSON and back.</summary>
internal static class JsonFilters
{
    /// <summary>Most blanks of one level of indentation.</summary>
    private const int IndentMax = 100;

    public static TemplateValue ToJson(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var style = JsonStyle.Default;
        if (!ReferenceEquals(arguments, CallArguments.Empty))
        {
            style = ReadStyle(state, arguments.Bind(state, "tojson", "ensure_ascii", "indent", "separators", "sort_keys"));
        }

        var output = new MarkedTextBuilder(state);
        new JsonWriter(state, output, style).Write(input);
        return output.ToValue();
    }

    public static TemplateValue FromJson(RenderState state, TemplateValue input, CallArguments arguments)
    {
        arguments.Bind(state, "from_json");
        if (input is not TextValue text) throw state.Fail($"'from_json' needs a string, not '{input.TypeName}'");
        try
        {
            using var document = JsonDocument.Parse(text.Text);
            return TemplateValue.FromJson(document.RootElement, isInput: text.InputSpans.Length > 0);
        }
        catch (JsonException)
        {
            throw state.Fail("the text is not JSON");
        }
    }

    private static JsonStyle ReadStyle(RenderState state, BoundArguments a)
    {
        var indent = a[1] switch
        {
            null or NoneValue => null,
            TextValue text => text,
            _ => new TextValue(new string(' ', (int)Math.Clamp(a.RequireInteger(1), 0, IndentMax))),
        };
        var itemSeparator = indent is null ? JsonStyle.Default.ItemSeparator : new TextValue(",");
        var keySeparator = JsonStyle.Default.KeySeparator;
        if (a[2] is not (null or NoneValue))
        {
            var separators = Members.Iterate(state, a.Require(2));
            if (separators.Count != 2 || separators[0] is not TextValue item || separators[1] is not TextValue key)
            {
                throw state.Fail("'separators' are two strings");
            }

            (itemSeparator, keySeparator) = (item, key);
        }

        return new JsonStyle(indent, itemSeparator, keySeparator, IsAscii: a.IsTrue(0), AreKeysSorted: a.IsTrue(3));
    }
}
