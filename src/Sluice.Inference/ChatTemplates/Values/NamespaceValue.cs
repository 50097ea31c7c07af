namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>What <c>namespace()</c> makes: the one value whose attributes a template may set.</summary>
internal sealed class NamespaceValue : TemplateValue
{
    public Dictionary<string, TemplateValue> Attributes { get; } = new(StringComparer.Ordinal);

    internal override string TypeName => "namespace";

    internal override bool IsTrue => true;

    public IEnumerable<KeyValuePair<TemplateValue, TemplateValue>> ToPairs()
    {
        foreach (var (name, value) in Attributes)
        {
            yield return new(new TextValue(name), value);
        }
    }
}
