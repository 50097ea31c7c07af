using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.RegularExpressions;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>An upstream over TLS, whose certificate the platform is told to trust: a program of its own, for that is told at its start.</summary>
public sealed partial class UpstreamOverTlsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-tls-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task It_is_asked_over_HTTP2_where_its_certificate_is_trusted(bool isTrusted)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("SSL_CERT_FILE is OpenSSL's.");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var certificate = CreateCertificate();
        await using var upstream = await ScriptedUpstream.StartOverTlsAsync(certificate, ScriptedUpstream.Says("ok"));
        var file = Path.Combine(_folder, "sluice.yaml");
        await File.WriteAllTextAsync(file, $"listen: http://127.0.0.1:0\nmodels:\n  - id: m\n    retries: 0\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n", patience.Token);
        var authorities = Path.Combine(_folder, "authorities.pem");
        await File.WriteAllTextAsync(authorities, certificate.ExportCertificatePem(), patience.Token);

        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "sluice"), ["serve", "--config", file]) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (isTrusted) start.Environment["SSL_CERT_FILE"] = authorities;
        using var sluice = Process.Start(start)!;
        try
        {
            _ = sluice.StandardError.ReadToEndAsync(patience.Token);
            var line = await sluice.StandardOutput.ReadLineAsync(patience.Token);
            using var http = new HttpClient();
            using var body = new StringContent("""{"model":"m","messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8, "application/json");
            using var response = await http.PostAsync(new Uri($"{Url().Match(line!).Value}/v1/chat/completions"), body, patience.Token);
            if (!isTrusted)
            {
                Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
                Assert.Empty(upstream.Calls);
                return;
            }
            Assert.Contains("\"content\":\"ok\"", await response.Content.ReadAsStringAsync(patience.Token), StringComparison.Ordinal);
            Assert.Equal("HTTP/2", upstream.Calls.Single().Protocol);
        }
        finally
        {
            sluice.Kill();
            await sluice.WaitForExitAsync(CancellationToken.None);
        }
    }

    private static X509Certificate2 CreateCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=sluice test", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    [GeneratedRegex("(?<=^Sluice serves at )http://\\S+")]
    private static partial Regex Url();
}
