namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>What <c>namespace()</c> makes: the one value whose attributes a template may set.</summary>
/// <param name="attributes">Owned by the value; its keys are strings.</param>
internal sealed class NamespaceValue(MappingValue attributes) : TemplateValue
{
    public MappingValue Attributes { get; } = attributes;

    internal override string TypeName => "namespace";

    internal override bool IsTrue => true;
}
