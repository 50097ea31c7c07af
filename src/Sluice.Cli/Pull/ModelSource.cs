namespace Sluice.Cli.Pull;

/// <summary>Where a GGUF file comes from.</summary>
/// <param name="Url">Absolute http or https address of the bytes.</param>
/// <param name="FileName">Name that it gets on this machine: one path segment ending in .gguf.</param>
/// <param name="Sha256">What the file must hash to, 64 lower-case hexadecimal digits; null when only the server can say.</param>
internal sealed record ModelSource(Uri Url, string FileName, string? Sha256)
{
    private const string Suffix = ".gguf";

    /// <summary>
    /// Reads a short name, owner/repository/file.gguf with or without hf.co/ before it, or an address. Addresses of Hugging Face's pages
    /// lead to the file that the page is about.
    /// </summary>
    /// <param name="name">As typed.</param>
    /// <param name="endpoint">The hub that names without a host belong to.</param>
    /// <exception cref="CliException">It is none of these.</exception>
    public static ModelSource Parse(string name, Uri endpoint)
    {
        if (KnownModels.Find(name) is { } known)
        {
            return new(OnHub(endpoint, known.Repository.Split('/'), "main", [known.File]), known.File, known.Sha256);
        }

        var path = name;
        if (name.Contains("://", StringComparison.Ordinal))
        {
            if (!Uri.TryCreate(name, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            {
                throw new CliException($"'{name}' is not an http or https address.");
            }

            if (!IsHub(url.Host) && !url.Authority.Equals(endpoint.Authority, StringComparison.OrdinalIgnoreCase))
            {
                return new(url, FileNameOf(name, Uri.UnescapeDataString(url.Segments[^1])), null);
            }

            path = Uri.UnescapeDataString(url.AbsolutePath);
        }

        var segments = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments.Length > 0 && IsHub(segments[0]))
        {
            segments = segments[1..];
        }

        if (segments.Length < 3)
        {
            throw new CliException($"'{name}' is neither owner/repository/file.gguf nor a short name; short names are: "
                + string.Join(", ", KnownModels.All.Select(model => model.Name)) + ".");
        }

        var isPage = segments.Length > 4 && segments[2] is "resolve" or "blob" or "raw";
        var file = isPage ? segments[4..] : segments[2..];
        return new(OnHub(endpoint, segments[..2], isPage ? segments[3] : "main", file), FileNameOf(name, file[^1]), null);
    }

    private static bool IsHub(string host) => host is "hf.co" or "huggingface.co" or "www.huggingface.co";

    private static Uri OnHub(Uri endpoint, string[] repository, string revision, string[] file) =>
        new(endpoint, string.Join('/', [.. repository.Select(Uri.EscapeDataString), "resolve", Uri.EscapeDataString(revision), .. file.Select(Uri.EscapeDataString)]));

    private static string FileNameOf(string name, string segment) =>
        segment.EndsWith(Suffix, StringComparison.OrdinalIgnoreCase) && segment.Length > Suffix.Length
            && segment.IndexOfAny(['/', '\\', '\0']) < 0
            ? segment
            : throw new CliException($"'{name}' doesn't name a file that ends in {Suffix}.");
}
