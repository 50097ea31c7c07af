namespace Sluice.Server.Configuration;

/// <summary>The certificate of addresses with TLS, which is read again when its file changes.</summary>
/// <param name="Path">Full path: PEM, with the certificates that lead to the root behind the hub's own, or PKCS #12.</param>
public sealed record CertificateOptions(string Path)
{
    /// <summary>Full path of the private key in PEM; null where it is in <see cref="Path"/>.</summary>
    public string? KeyPath { get; init; }

    /// <summary>Opens the private key; never shown. Null where it is not encrypted.</summary>
    public string? Password { get; init; }

    /// <summary>Without the password.</summary>
    public override string ToString() => Path;
}
