using System.Diagnostics.CodeAnalysis;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>
/// Python's dict: ordered by first insertion. Keys are scalars compared as Python compares them (1, 1.0 and true are one key).
/// </summary>
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

    public static bool IsKey(TemplateValue key) => key is TextValue or NoneValue or UndefinedValue || Numbers.IsNumber(key);

    private sealed class ScalarKeyComparer : IEqualityComparer<TemplateValue>
    {
        public static readonly ScalarKeyComparer Instance = new();

        public bool Equals(TemplateValue? x, TemplateValue? y) => (x, y) switch
        {
            (TextValue a, TextValue b) => a.Text == b.Text,
            (NoneValue, NoneValue) or (UndefinedValue, UndefinedValue) => true,
            (not null, not null) when Numbers.IsNumber(x) && Numbers.IsNumber(y) => Numbers.AreEqual(x, y),
            _ => false,
        };

        public int GetHashCode([DisallowNull] TemplateValue obj) => obj switch
        {
            TextValue text => text.Text.GetHashCode(StringComparison.Ordinal),
            _ when Numbers.IsNumber(obj) => Numbers.ToDouble(obj).GetHashCode(),
            _ => 0,
        };
    }
}
