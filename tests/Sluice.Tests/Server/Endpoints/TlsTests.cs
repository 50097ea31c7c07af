using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Addresses with TLS: the platform's own client has to accept the certificate, and renewals are taken while the hub runs.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-tls-").FullName;
    private readonly IssuedCertificate _issued = new("first");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _issued.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Tokens_come_as_they_do_without_TLS_over_both_protocols(string version)
    {
        _issued.WriteTo(_folder);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("Hel", "lo"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream));
        using var http = _issued.CreateClient(Version.Parse(version));
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(new Uri(hub.Address), "/v1/chat/completions")) { Version = http.DefaultRequestVersion, VersionPolicy = http.DefaultVersionPolicy };
        request.Content = new StringContent(UpstreamHub.Ask(), Encoding.UTF8, "application/json");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        Assert.Equal(Version.Parse(version), response.Version);
        Assert.StartsWith("https://", hub.Address, StringComparison.Ordinal);
        var events = await UpstreamHub.EventsAsync(response);
        Assert.Contains("\"Hel\"", events[1], StringComparison.Ordinal);
        Assert.Equal("[DONE]", events[^1]);
    }

    [Fact]
    public async Task What_is_not_HTTP_is_an_error_object_under_TLS_too()
    {
        _issued.WriteTo(_folder);
        await using var hub = await StartAsync("  - {id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}\n");
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", new Uri(hub.Address).Port, Cancellation);
        await using var tls = new SslStream(client.GetStream());
        await tls.AuthenticateAsClientAsync(_issued.CreateTlsOptions(), Cancellation);
        await tls.WriteAsync("GARBAGE\r\n\r\n"u8.ToArray(), Cancellation);
        using var reader = new StreamReader(tls, Encoding.Latin1);
        var reply = await reader.ReadToEndAsync(Cancellation).WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
        Assert.StartsWith("HTTP/1.1 400 ", reply, StringComparison.Ordinal);
        Assert.Contains("invalid_request_error", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_renewed_certificate_is_taken_and_one_that_is_broken_is_not()
    {
        _issued.WriteTo(_folder);
        var log = new LogLines();
        await using var hub = await StartAsync("  - {id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}\n", log);
        Assert.Equal("CN=first", await ShownAsync(hub, _issued));

        await File.WriteAllTextAsync(Path.Combine(_folder, "chain.pem"), "nothing", Cancellation);
        Assert.Equal("CN=first", await ShownAsync(hub, _issued));
        Assert.Equal("CN=first", await ShownAsync(hub, _issued));
        Assert.Single(log.Lines, static line => line.StartsWith("Warning", StringComparison.Ordinal) && line.Contains("can't be used", StringComparison.Ordinal));

        using var renewed = new IssuedCertificate("second", TimeSpan.FromDays(3));
        renewed.WriteTo(_folder);
        Assert.Equal("CN=second", await ShownAsync(hub, renewed));
        Assert.Single(log.Lines, static line => line.StartsWith("Warning", StringComparison.Ordinal) && line.Contains("is valid until", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_form_of_a_certificate_loads_with_its_chain()
    {
        _issued.WriteTo(_folder);
        File.WriteAllText(At("both.pem"), _issued.KeyPem + "\n" + _issued.ChainPem);
        File.WriteAllText(At("encrypted.pem"), _issued.EncryptedKeyPem);
        File.WriteAllBytes(At("all.pfx"), _issued.Pkcs12);
        foreach (var yaml in (string[])["{path: chain.pem, key: key.pem}", "both.pem", "{path: chain.pem, key: encrypted.pem, password: secret}", "{path: all.pfx, password: secret}"])
        {
            var options = ConfigurationFile.Parse($"listen: https://127.0.0.1\ncertificate: {yaml}\n", At("sluice.yaml"), _ => null);
            Assert.Equal(443, options.Listen[0].Port);
            var context = CertificateFile.LoadContext(options.Certificate!);
            Assert.Equal(_issued.Leaf.Thumbprint, context.TargetCertificate.Thumbprint);
            Assert.Single(context.IntermediateCertificates);
        }
    }

    [Theory]
    [InlineData("missing.pem", "Could not find file")]
    [InlineData("{path: chain.pem}", "has no private key; name its file with 'key'")]
    [InlineData("{path: chain.pem, key: chain.pem}", "chain.pem' has no private key")]
    [InlineData("{path: chain.pem, key: encrypted.pem}", "is encrypted; say its 'password'")]
    [InlineData("{path: chain.pem, key: encrypted.pem, password: wrong}", "is not the certificate's, or can't be read")]
    [InlineData("{path: chain.pem, key: other.pem}", "is not the certificate's, or can't be read")]
    [InlineData("{path: all.pfx, password: wrong}", "is neither PEM nor PKCS #12, or its password is another")]
    [InlineData("{path: all.pfx, key: key.pem}", "is not PEM; only beside a PEM file can 'key' name another")]
    [InlineData("{path: key.pem}", "has no certificate")]
    public void A_certificate_that_can_not_be_used_is_an_error_with_its_place(string yaml, string words)
    {
        _issued.WriteTo(_folder);
        File.WriteAllText(At("encrypted.pem"), _issued.EncryptedKeyPem);
        File.WriteAllBytes(At("all.pfx"), _issued.Pkcs12);
        using (var other = new IssuedCertificate("other")) File.WriteAllText(At("other.pem"), other.KeyPem);
        var exception = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse($"certificate: {yaml}\n", At("sluice.yaml"), _ => null));
        var error = Assert.Single(exception.Errors).ToString();
        Assert.Contains("sluice.yaml:1:14: certificate: ", error, StringComparison.Ordinal);
        Assert.Contains(words, error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("listen: https://0.0.0.0:1", "sluice.yaml:1:9: 'https://0.0.0.0:1' needs a certificate: add 'certificate: {path: hub.pem, key: hub.key}'")]
    [InlineData("ledger: {}\nadmin_listen: https://127.0.0.1:1", "sluice.yaml:2:15: 'https://127.0.0.1:1' asks for TLS, but an administrator's address never leaves this machine; say http://127.0.0.1:PORT or unix:PATH")]
    public void An_address_that_can_not_have_TLS_is_an_error_with_its_place(string yaml, string error)
    {
        var exception = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse(yaml + "\n", "sluice.yaml", _ => null));
        Assert.Equal(error, Assert.Single(exception.Errors).ToString());
    }

    private string At(string name) => Path.Combine(_folder, name);

    private Task<UpstreamHub> StartAsync(string models, LogLines? log = null) => UpstreamHub.StartAsync(
        models,
        limits: UpstreamHub.QuickLimits with { CertificateLook = TimeSpan.Zero },
        log: log,
        configure: options => options with
        {
            Listen = [new ListenAddress("127.0.0.1", 0) { IsHttps = true }],
            Certificate = new CertificateOptions(At("chain.pem")) { KeyPath = At("key.pem") },
        });

    // The subject of what a new connection is shown.
    private static async Task<string> ShownAsync(UpstreamHub hub, IssuedCertificate issued)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", new Uri(hub.Address).Port, Cancellation);
        await using var tls = new SslStream(client.GetStream());
        await tls.AuthenticateAsClientAsync(issued.CreateTlsOptions(), Cancellation);
        using var shown = new X509Certificate2(tls.RemoteCertificate!);
        return shown.Subject;
    }
}
