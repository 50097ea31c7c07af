namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Which of Python's ordered collections a <see cref="SequenceValue"/> stands for.</summary>
internal enum SequenceKind
{
    List,
    Tuple,

    /// <summary>Can be indexed and counted, prints as the call that made it.</summary>
    Range,

    /// <summary>Keys, values or items of a mapping: can be counted, not indexed.</summary>
    View,

    /// <summary>Can be iterated once; always true; has no length.</summary>
    Generator,
}

/// <summary>An ordered collection.</summary>
/// <param name="kind">What it can do.</param>
/// <param name="items">Owned by the value.</param>
/// <param name="isFrozen">True for lists that came from outside: a rendering must not change what others see.</param>
/// <param name="label">How ranges and views call themselves when printed.</param>
internal sealed class SequenceValue(SequenceKind kind, List<TemplateValue> items, bool isFrozen = false, string label = "") : TemplateValue
{
    private bool _isConsumed;

    public SequenceKind Kind { get; } = kind;

    public List<TemplateValue> Items { get; } = items;

    public bool IsFrozen { get; } = isFrozen;

    public string Label { get; } = label;

    public bool HasLength => Kind != SequenceKind.Generator;

    public bool HasIndex => Kind is SequenceKind.List or SequenceKind.Tuple or SequenceKind.Range;

    internal override string TypeName => Kind switch
    {
        SequenceKind.List => "list",
        SequenceKind.Tuple => "tuple",
        SequenceKind.Range => "range",
        SequenceKind.View => Label,
        _ => "generator",
    };

    internal override bool IsTrue => Kind == SequenceKind.Generator || Items.Count > 0;

    public static SequenceValue List(List<TemplateValue> items) => new(SequenceKind.List, items);

    public static SequenceValue Tuple(params List<TemplateValue> items) => new(SequenceKind.Tuple, items);

    public static SequenceValue Generator(List<TemplateValue> items) => new(SequenceKind.Generator, items);

    /// <summary>The items for one pass; a generator gives them once. A list that can change is copied first.</summary>
    public IReadOnlyList<TemplateValue> Enumerate()
    {
        if (Kind != SequenceKind.Generator) return Kind == SequenceKind.List && !IsFrozen ? [.. Items] : Items;
        if (_isConsumed) return [];
        _isConsumed = true;
        return Items;
    }
}
