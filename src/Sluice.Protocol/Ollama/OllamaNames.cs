namespace Sluice.Protocol.Ollama;

/// <summary>How Ollama's clients write the names of models.</summary>
public static class OllamaNames
{
    private const string DefaultTag = ":latest";

    /// <summary>Without the tag that its clients add to a name without one; null where there is none.</summary>
    public static string? WithoutTag(string model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return model.EndsWith(DefaultTag, StringComparison.Ordinal) && model.Length > DefaultTag.Length ? model[..^DefaultTag.Length] : null;
    }
}
