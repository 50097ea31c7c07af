using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Sluice.Server.Console;

/// <summary>The page of the console and what belongs to it. They hold nothing of this hub, so they are given to anybody.</summary>
internal sealed class ConsoleFiles
{
    /// <summary>Where the page is.</summary>
    public const string PagePath = "/";

    /// <summary>What the paths of everything else begin with.</summary>
    public const string Prefix = "/console/";

    // Names of the resources in the assembly begin so.
    private const string ResourcePrefix = "console/";
    private const string Page = "index.html";

    private readonly Dictionary<string, ConsoleFile> _byPath = new(StringComparer.Ordinal);

    public ConsoleFiles()
    {
        var assembly = typeof(ConsoleFiles).Assembly;
        foreach (var resource in assembly.GetManifestResourceNames().Where(static name => name.StartsWith(ResourcePrefix, StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(resource)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            var name = resource[ResourcePrefix.Length..];
            var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\"";
            _byPath[name == Page ? PagePath : Prefix + name] = new ConsoleFile(bytes, TypeOf(name), tag);
        }
    }

    /// <summary>Paths of all files.</summary>
    public IReadOnlyCollection<string> Paths => _byPath.Keys;

    /// <summary>The file of a path.</summary>
    public bool TryFind(string path, [NotNullWhen(true)] out ConsoleFile? file) => _byPath.TryGetValue(path, out file);

    private static string TypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
}
