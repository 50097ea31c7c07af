using System.Diagnostics.CodeAnalysis;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Python's dict: ordered by first insertion. Keys are scalars compared as Python compares them (1, 1.0 and true are one key).</summary>
internal sealed class MappingValue : TemplateValue
{
    public OrderedDictionary<TemplateValue, TemplateValue> Items { get; } = new(ScalarKeyComparer.Instance);

    /// <summary>True for mappings that came from outside: a rendering must not change what others see.</summary>
    public bool IsFrozen { get; private set; }

    internal override string TypeName => "dict";

    internal override bool IsTrue => Items.Count > 0;

    public MappingValue Freeze()
    {
        IsFrozen = true;
        return this;
    }

    public TemplateValue? Find(TemplateValue key) => IsKey(key) && Items.TryGetValue(key, out var value) ? value : null;

    public static bool IsKey(TemplateValue key) => key is TextValue or IntegerValue or FloatValue or BooleanValue or NoneValue;

    private sealed class ScalarKeyComparer : IEqualityComparer<TemplateValue>
    {
        public static readonly ScalarKeyComparer Instance = new();

        public bool Equals(TemplateValue? x, TemplateValue? y) => (x, y) switch
        {
            (TextValue a, TextValue b) => a.Text == b.Text,
            (NoneValue, NoneValue) => true,
            (TextValue or NoneValue or null, _) or (_, TextValue or NoneValue or null) => false,
            _ => Numbers.AreEqual(x, y),
        };

        public int GetHashCode([DisallowNull] TemplateValue obj) => obj switch
        {
            TextValue text => text.Text.GetHashCode(StringComparison.Ordinal),
            NoneValue => 0,
            _ => Numbers.ToDouble(obj).GetHashCode(),
        };
    }
}
