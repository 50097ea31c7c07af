using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Sluice.Testing;

/// <summary>A certificate for 127.0.0.1 of an intermediate authority, below a root that nobody knows beside who has this.</summary>
public sealed class IssuedCertificate : IDisposable
{
    private readonly X509Certificate2 _intermediate;

    /// <param name="name">Common name of the certificate.</param>
    /// <param name="valid">How long it is valid from now on.</param>
    public IssuedCertificate(string name, TimeSpan? valid = null)
    {
        var (start, end) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow + (valid ?? TimeSpan.FromDays(90)));
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Root = RequestAuthority("Test root", rootKey).CreateSelfSigned(start, end.AddDays(2));
        using var middleKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _intermediate = RequestAuthority("Test intermediate", middleKey).Create(Root, start, end.AddDays(1), [1]).CopyWithPrivateKey(middleKey);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        Leaf = request.Create(_intermediate, start, end, [2]).CopyWithPrivateKey(key);
        KeyPem = key.ExportPkcs8PrivateKeyPem();
        EncryptedKeyPem = key.ExportEncryptedPkcs8PrivateKeyPem("secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000));
    }

    /// <summary>What a client has to trust.</summary>
    public X509Certificate2 Root { get; }

    /// <summary>With its private key.</summary>
    public X509Certificate2 Leaf { get; }

    /// <summary>The certificate, and the intermediate one.</summary>
    public string ChainPem => Leaf.ExportCertificatePem() + "\n" + _intermediate.ExportCertificatePem() + "\n";

    /// <summary>The private key.</summary>
    public string KeyPem { get; }

    /// <summary>The private key, which <c>secret</c> opens.</summary>
    public string EncryptedKeyPem { get; }

    /// <summary>All of it as PKCS #12, which <c>secret</c> opens.</summary>
    public byte[] Pkcs12 => new X509Certificate2Collection { Leaf, X509CertificateLoader.LoadCertificate(_intermediate.RawData) }.Export(X509ContentType.Pkcs12, "secret")!;

    /// <summary>Writes <c>chain.pem</c> and <c>key.pem</c>.</summary>
    public void WriteTo(string folder)
    {
        File.WriteAllText(Path.Combine(folder, "key.pem"), KeyPem);
        File.WriteAllText(Path.Combine(folder, "chain.pem"), ChainPem);
    }

    /// <summary>A client that trusts the root alone, and knows no intermediate authority.</summary>
    public HttpClient CreateClient(Version? version = null)
    {
        return new HttpClient(new SocketsHttpHandler { SslOptions = { CertificateChainPolicy = CreateTrust() } }) { DefaultRequestVersion = version ?? HttpVersion.Version11, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
    }

    /// <summary>The same for a connection of one's own.</summary>
    public SslClientAuthenticationOptions CreateTlsOptions() => new() { TargetHost = "localhost", CertificateChainPolicy = CreateTrust() };

    /// <inheritdoc/>
    public void Dispose()
    {
        Root.Dispose();
        _intermediate.Dispose();
        Leaf.Dispose();
    }

    private X509ChainPolicy CreateTrust()
    {
        var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        trust.CustomTrustStore.Add(Root);
        return trust;
    }

    private static CertificateRequest RequestAuthority(string name, ECDsa key)
    {
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        return request;
    }
}
