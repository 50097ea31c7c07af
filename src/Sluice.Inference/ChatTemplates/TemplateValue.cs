using System.Text.Json;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates;

/// <summary>
/// A value of the template language, with Python's types and manners. Values made by the factories here never change, so they
/// may be shared between threads and renderings.
/// </summary>
public abstract class TemplateValue
{
    private protected TemplateValue()
    {
    }

    /// <summary>Python's <c>None</c>, JSON's <c>null</c>.</summary>
    public static TemplateValue None => NoneValue.Instance;

    /// <summary>The name of Python's type, for messages.</summary>
    internal abstract string TypeName { get; }

    /// <summary>Python's truth of the value.</summary>
    internal abstract bool IsTrue { get; }

    /// <summary>True for what a template may call.</summary>
    internal virtual bool IsCallable => false;

    /// <summary>Text that the program vouches for: special tokens in it count.</summary>
    public static TemplateValue FromText(string trusted) => new TextValue(trusted);

    /// <summary>Text from a user: special tokens in it are only text, wherever the template puts it.</summary>
    public static TemplateValue FromInput(string userText) => TextValue.OfInput(userText);

    /// <summary>A list; the template cannot change it.</summary>
    public static TemplateValue FromList(IEnumerable<TemplateValue> items) =>
        new SequenceValue(SequenceKind.List, [.. items], isFrozen: true);

    /// <summary>A mapping in the given order, keys as trusted text; of two equal keys the later value stays.</summary>
    public static TemplateValue FromMapping(IEnumerable<KeyValuePair<string, TemplateValue>> items)
    {
        var mapping = new MappingValue();
        foreach (var (key, value) in items)
        {
            mapping.Items[new TextValue(key)] = value;
        }

        return mapping.Freeze();
    }

    /// <summary>A boolean.</summary>
    public static TemplateValue From(bool value) => BooleanValue.Of(value);

    /// <summary>An integer.</summary>
    public static TemplateValue From(long value) => new IntegerValue(value);

    /// <summary>A floating-point number.</summary>
    public static TemplateValue From(double value) => new FloatValue(value);

    /// <summary>A JSON document with its order of keys; of two equal keys the later value stays.</summary>
    /// <param name="element">The document; copied, not kept.</param>
    /// <param name="isInput">True when every string in it, keys included, came from the user.</param>
    /// <exception cref="ChatTemplateException">
    /// The document is nested deeper than <see cref="ChatTemplateLimits.ValueDepthMax"/>, or has half of a surrogate pair.
    /// </exception>
    public static TemplateValue FromJson(JsonElement element, bool isInput) => JsonValueReader.Read(element, isInput);
}
