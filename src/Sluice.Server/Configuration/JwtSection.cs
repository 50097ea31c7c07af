using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>Reads <c>jwt</c>.</summary>
internal static class JwtSection
{
    private static readonly string[] s_keys = ["issuer", "audience", "project_claim", "map", "models_claim"];

    /// <summary>Null where there is none, or it is wrong, which is reported.</summary>
    public static JwtOptions? Read(ConfigurationDocument document, ConfigurationSection root, IReadOnlyList<ProjectOptions> projects)
    {
        if (root.Find("jwt") is not { } node || document.Mapping(node, "'jwt'", s_keys) is not { } section) return null;
        // Without an audience every token of the issuer would open the hub, whomever it is for.
        var (issuer, audience) = (document.RequiredString(section, "issuer"), document.RequiredString(section, "audience"));
        var claim = document.String(section, "project_claim")?.Value;
        var map = ReadMap(document, section, projects);
        if (section.Contains("map") != (claim is not null)) document.Report(section.Start, "'project_claim' and 'map' go together: which claim, and which project each of its values is");
        if (issuer is not var (address, mark) || audience is null) return null;
        // Whoever stands between the hub and the issuer could give out keys.
        var isSafe = Uri.TryCreate(address, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback));
        if (!isSafe) document.Report(mark, $"'{address}' is not a valid issuer; expected an https address");
        return new JwtOptions(address, audience.Value.Value) { ProjectClaim = claim, Map = map, ModelsClaim = document.String(section, "models_claim")?.Value };
    }

    private static Dictionary<string, string> ReadMap(ConfigurationDocument document, ConfigurationSection section, IReadOnlyList<ProjectOptions> projects)
    {
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        if (section.Find("map") is not { } node) return map;
        if (node is not YamlMappingNode mapping)
        {
            document.Report(node.Start, "'map' must be a mapping of the claim's values to ids of projects");
            return map;
        }
        foreach (var (key, value) in mapping.Children)
        {
            if (document.Text(key, "a value of the claim") is not var (text, _) || document.Text(value, $"the project of '{text}'") is not var (project, mark)) continue;
            if (projects.Any(known => known.Id == project)) map[text] = project;
            else document.Report(mark, $"there is no project '{project}'{(Suggestion.Find(project, [.. projects.Select(static known => known.Id)]) is { } near ? $"; did you mean '{near}'?" : "")}");
        }
        return map;
    }
}
