using System.Security.Cryptography;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>Reads <c>certificate</c>.</summary>
internal static class CertificateSection
{
    private static readonly string[] s_keys = ["path", "key", "password"];

    /// <summary>Null where there is none, or it is wrong, which is reported.</summary>
    /// <param name="document">Told what is wrong.</param>
    /// <param name="root">The configuration.</param>
    /// <param name="folder">What paths are relative to.</param>
    public static CertificateOptions? Read(ConfigurationDocument document, ConfigurationSection root, string folder)
    {
        if (root.Find("certificate") is not { } node || ReadOptions(document, root, node, folder) is not { } options) return null;
        try
        {
            using var leaf = CertificateFile.LoadLeaf(options);
            return options;
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            document.Report(node.Start, $"certificate: {exception.Message.TrimEnd('.')}");
            return null;
        }
    }

    /// <summary>One clause that says why the addresses can't be listened on with this certificate; null where they can.</summary>
    public static string? FindProblem(IReadOnlyList<ListenAddress> listen, CertificateOptions? certificate) =>
        certificate is null && listen.FirstOrDefault(static address => address.IsHttps) is { } address
            ? $"'{address}' needs a certificate: add 'certificate: {{path: hub.pem, key: hub.key}}'"
            : null;

    private static CertificateOptions? ReadOptions(ConfigurationDocument document, ConfigurationSection root, YamlNode node, string folder)
    {
        if (node is YamlScalarNode) return document.String(root, "certificate") is var (file, _) ? new CertificateOptions(Path.GetFullPath(file, folder)) : null;
        if (document.Mapping(node, "'certificate'", s_keys) is not { } section || document.RequiredString(section, "path") is not var (path, _)) return null;
        return new CertificateOptions(Path.GetFullPath(path, folder))
        {
            KeyPath = document.String(section, "key") is var (key, _) ? Path.GetFullPath(key, folder) : null,
            Password = document.String(section, "password")?.Value,
        };
    }
}
