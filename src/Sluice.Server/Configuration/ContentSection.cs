using System.Globalization;

namespace Sluice.Server.Configuration;

/// <summary>Reads <c>content</c>.</summary>
internal static class ContentSection
{
    private const long BytesMin = 1 << 10, BytesMax = 1 << 20;
    private static readonly string[] s_keys = ["projects", "sample", "max_bytes"];

    /// <summary>Null where there is none, or it is wrong, which is reported.</summary>
    public static ContentOptions? Read(ConfigurationDocument document, ConfigurationSection root, IReadOnlyList<ProjectOptions> projects)
    {
        if (root.Find("content") is not { } node || document.Mapping(node, "'content'", s_keys) is not { } section) return null;
        if (document.Strings(section, "projects") is not { Count: > 0 } ids)
        {
            document.Report(section.Start, "'content' needs 'projects': whose prompts and answers may be written into spans");
            return null;
        }
        foreach (var (id, mark) in ids)
        {
            if (projects.Any(project => project.Id == id)) continue;
            var near = Suggestion.Find(id, [.. projects.Select(static project => project.Id)]);
            document.Report(mark, $"there is no project '{id}'{(near is null ? "" : $"; did you mean '{near}'?")}");
        }
        return new ContentOptions([.. ids.Select(static id => id.Value)])
        {
            Sample = ReadSample(document, section),
            BytesMax = ReadBytes(document, section),
        };
    }

    private static double ReadSample(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "sample") is not var (text, mark)) return 1;
        if (text.EndsWith('%') && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percent)
            && percent is > 0 and <= 100) return percent / 100;
        document.Report(mark, $"'{text}' is not a valid value of 'sample'; expected a share above 0% and up to 100%, such as 1%");
        return 1;
    }

    private static int ReadBytes(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "max_bytes") is not var (text, mark)) return ContentOptions.DefaultBytesMax;
        if (ByteSize.Parse(text) is >= BytesMin and <= BytesMax and var bytes) return (int)bytes;
        document.Report(mark, $"'{text}' is not a valid value of 'max_bytes'; expected a size from 1KiB to 1MiB");
        return ContentOptions.DefaultBytesMax;
    }
}
