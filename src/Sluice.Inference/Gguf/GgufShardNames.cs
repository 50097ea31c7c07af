using System.Text.RegularExpressions;

namespace Sluice.Inference.Gguf;

/// <summary>Names of a model's files where it has several: <c>model-00001-of-00003.gguf</c>, counted from 1.</summary>
public static partial class GgufShardNames
{
    /// <summary>Whether a file is one of several but not the first, and so no model to be opened.</summary>
    public static bool IsLaterShard(string fileName) => Name().Match(fileName) is { Success: true } match && match.Groups["number"].Value != "00001";

    /// <summary>The first shard's name among its siblings' folder, whichever of them is given; null where the name has no such end.</summary>
    internal static string? First(string path) => Sibling(path, 0);

    /// <summary>The path of shard <paramref name="index"/>, counted from 0, of the model that a shard belongs to; null where the name has no such end.</summary>
    internal static string? Sibling(string path, int index)
    {
        var match = Name().Match(path);
        return match.Success
            ? string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"{path[..match.Groups["number"].Index]}{index + 1:D5}-of-{match.Groups["count"].Value}.gguf")
            : null;
    }

    /// <summary>How many files the name speaks of; null where it has no such end.</summary>
    internal static int? Count(string path) => Name().Match(path) is { Success: true } match
        ? int.Parse(match.Groups["count"].ValueSpan, System.Globalization.CultureInfo.InvariantCulture)
        : null;

    [GeneratedRegex(@"-(?<number>[0-9]{5})-of-(?<count>[0-9]{5})\.gguf$", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
