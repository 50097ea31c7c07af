using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>The <c>attribute</c> argument of filters: names and indexes with dots between them, or one index, or nothing.</summary>
internal sealed class AttributePath
{
    private readonly List<TemplateValue> _parts = [];

    private AttributePath()
    {
    }

    public static AttributePath Parse(TemplateValue? attribute)
    {
        var path = new AttributePath();
        if (attribute is TextValue text)
        {
            foreach (string part in text.Text.Split('.'))
            {
                bool isIndex = long.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out long index);
                path._parts.Add(isIndex ? new IntegerValue(index) : new TextValue(part));
            }
        }
        else if (attribute is not (null or NoneValue))
        {
            path._parts.Add(attribute);
        }

        return path;
    }

    /// <summary>Several paths with commas between them, as <c>sort</c> takes.</summary>
    public static List<AttributePath> ParseMany(TemplateValue? attribute) =>
        attribute is TextValue text ? [.. text.Text.Split(',').Select(part => Parse(new TextValue(part)))] : [Parse(attribute)];

    /// <param name="state">The rendering.</param>
    /// <param name="item">Where the path begins.</param>
    /// <param name="fallback">Stands for what is undefined on the way; null for none.</param>
    public TemplateValue Get(RenderState state, TemplateValue item, TemplateValue? fallback = null)
    {
        foreach (var part in _parts)
        {
            item = Members.GetItem(state, item, part);
            if (fallback is not null && item is UndefinedValue) item = fallback;
        }

        return item;
    }
}
