namespace Sluice.Inference.Transformer;

/// <summary>How the tokens of a step are cut into items of attention, for layers whose key/value heads serve the same number of query heads.</summary>
/// <param name="groupSize">Query heads of a key/value head.</param>
/// <param name="rowsMax">Most query rows of an item, if a token has no more.</param>
internal sealed class AttentionTiles(int groupSize, int rowsMax)
{
    public int GroupSize => groupSize;

    /// <summary>Most tokens of an item.</summary>
    public int TokensMax { get; } = Math.Max(1, rowsMax / groupSize);

    /// <summary>Whether each run is one item.</summary>
    public bool AreRunsShort { get; private set; }

    /// <summary>Index of the run, the first token within it, and how many tokens.</summary>
    public List<(int Run, int FirstToken, int Count)> Items { get; } = [];

    /// <summary>Cuts a step.</summary>
    public void Begin(StepBatch batch)
    {
        Items.Clear();
        AreRunsShort = true;
        for (int r = 0; r < batch.Runs.Count; r++)
        {
            int count = batch.Runs[r].Count;
            AreRunsShort &= count <= TokensMax;
            for (int first = 0; first < count; first += TokensMax)
            {
                Items.Add((r, first, Math.Min(TokensMax, count - first)));
            }
        }
    }
}
