namespace Sluice.Inference.Scheduling;

/// <summary>
/// One caller's part of the engine: the slots that its choices hold, and the choices that wait for one. Owned by the engine's thread.
/// </summary>
/// <param name="scope">Who it is: <see cref="GenerationRequest.Scope"/>.</param>
internal sealed class CallerShare(string scope)
{
    private static readonly Comparer<ChoiceState> s_byAge = Comparer<ChoiceState>.Create(static (a, b) =>
        a.Generation.Number != b.Generation.Number ? a.Generation.Number.CompareTo(b.Generation.Number) : a.Index.CompareTo(b.Index));

    public string Scope { get; } = scope;

    /// <summary>Each choice that occupies a slot counts one.</summary>
    public int SlotCount { get; set; }

    /// <summary>Those that can start at once, by the age of their generation and then by index.</summary>
    public SortedSet<ChoiceState> Waiting { get; } = new(s_byAge);
}
