using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Sluice.Server.Configuration;

/// <summary>Reads a certificate, its private key, and the chain that goes to clients.</summary>
internal static class CertificateFile
{
    // A chain of ten large certificates is 40 KiB.
    private const long BytesMax = 1 << 20;

    /// <summary>A certificate with its private key.</summary>
    /// <param name="options">Which files.</param>
    /// <exception cref="CryptographicException">The content is no such thing; the message is one clause that says what is wrong.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be read.</exception>
    public static X509Certificate2 LoadLeaf(CertificateOptions options) => LoadAll(options).Leaf;

    /// <summary>What a server presents: the certificate, and those that lead to the root. Exceptions as for <see cref="LoadLeaf"/>.</summary>
    public static SslStreamCertificateContext LoadContext(CertificateOptions options)
    {
        var (leaf, others) = LoadAll(options);
        // Offline: a chain is what the file says, and nothing is fetched while clients wait.
        return SslStreamCertificateContext.Create(leaf, others, offline: true);
    }

    private static (X509Certificate2 Leaf, X509Certificate2Collection Others) LoadAll(CertificateOptions options)
    {
        var bytes = Read(options.Path);
        return IsPem(bytes) ? LoadPem(options, bytes) : LoadPkcs12(options, bytes);
    }

    private static byte[] Read(string path)
    {
        if (new FileInfo(path) is { Exists: true, Length: > BytesMax }) throw new CryptographicException($"'{path}' is larger than any certificate");
        return File.ReadAllBytes(path);
    }

    private static bool IsPem(ReadOnlySpan<byte> bytes) => bytes.IndexOf("-----BEGIN "u8) >= 0;

    private static (X509Certificate2, X509Certificate2Collection) LoadPem(CertificateOptions options, byte[] bytes)
    {
        var text = System.Text.Encoding.UTF8.GetString(bytes);
        var keyPath = options.KeyPath ?? options.Path;
        var key = options.KeyPath is null ? text : System.Text.Encoding.UTF8.GetString(Read(options.KeyPath));
        var all = new X509Certificate2Collection();
        all.ImportFromPem(text);
        if (all.Count == 0) throw new CryptographicException($"'{options.Path}' has no certificate");
        if (!key.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
            throw new CryptographicException(options.KeyPath is null ? $"'{keyPath}' has no private key; name its file with 'key'" : $"'{keyPath}' has no private key");
        if (key.Contains("ENCRYPTED PRIVATE KEY-----", StringComparison.Ordinal) && options.Password is null)
            throw new CryptographicException($"the private key in '{keyPath}' is encrypted; say its 'password'");
        all.RemoveAt(0);
        try
        {
            var leaf = options.Password is { } password ? X509Certificate2.CreateFromEncryptedPem(text, key, password) : X509Certificate2.CreateFromPem(text, key);
            return (Usable(leaf), all);
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            throw new CryptographicException($"the private key in '{keyPath}' is not the certificate's, or can't be read: {Clause(exception)}", exception);
        }
    }

    private static (X509Certificate2, X509Certificate2Collection) LoadPkcs12(CertificateOptions options, byte[] bytes)
    {
        if (options.KeyPath is not null) throw new CryptographicException($"'{options.Path}' is not PEM; only beside a PEM file can 'key' name another");
        X509Certificate2Collection all;
        try
        {
            all = X509CertificateLoader.LoadPkcs12Collection(bytes, options.Password);
        }
        catch (CryptographicException exception)
        {
            throw new CryptographicException($"'{options.Path}' is neither PEM nor PKCS #12, or its password is another: {Clause(exception)}", exception);
        }
        var leaf = all.FirstOrDefault(static certificate => certificate.HasPrivateKey)
            ?? throw new CryptographicException($"'{options.Path}' has no private key");
        all.Remove(leaf);
        return (leaf, all);
    }

    // Windows can't use a key for TLS that has never been stored.
    private static X509Certificate2 Usable(X509Certificate2 leaf) =>
        OperatingSystem.IsWindows() ? X509CertificateLoader.LoadPkcs12(leaf.Export(X509ContentType.Pkcs12), password: null) : leaf;

    private static string Clause(Exception exception) => exception.Message.ReplaceLineEndings(" ").TrimEnd('.', ' ');
}
