using System.Net;
using System.Net.Sockets;
using Sluice.Server.Access;
using Sluice.Server.Configuration;

namespace Sluice.Cli.Doctor;

/// <summary>Whether the hub could listen where the configuration says, and whether it may.</summary>
internal static class PortChecks
{
    private const int ExpiresSoonDays = 14;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    public static async Task<List<Finding>> RunAsync(SluiceOptions options, CancellationToken cancellation)
    {
        var findings = new List<Finding>();
        if (OpenHubCheck.FindProblem(options.Listen, options.HasKeys, isInsecureAllowed: false) is { } open) findings.Add(Finding.Wrong("access", open.TrimEnd('.')));
        foreach (var address in options.Listen) findings.Add(await CheckAsync(address, cancellation));
        if (options.Certificate is { } certificate) findings.Add(CheckCertificate(certificate));
        return findings;
    }

    private static Finding CheckCertificate(CertificateOptions options)
    {
        using var certificate = CertificateFile.LoadLeaf(options);
        var end = certificate.NotAfter.ToUniversalTime();
        var days = (int)(end - TimeProvider.System.GetUtcNow().UtcDateTime).TotalDays;
        return days >= ExpiresSoonDays
            ? Finding.Fine("certificate", $"{options.Path} is valid for {Plural.Of(days, "day")}")
            : Finding.Wrong("certificate", $"{options.Path} is valid until {end:u}; replace the file, and a hub that runs takes it without a restart");
    }

    private static async Task<Finding> CheckAsync(ListenAddress address, CancellationToken cancellation)
    {
        try
        {
            var host = address.IsWildcard ? IPAddress.Any : (await Dns.GetHostAddressesAsync(address.Host, cancellation))[0];
            using var listener = new TcpListener(host, address.Port);
            listener.Start();
            return Finding.Fine("port", $"{address} is free");
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return await IsHubAsync(address, cancellation)
                ? Finding.Fine("port", $"a hub answers at {address} already")
                : Finding.Wrong("port", $"{address} is taken by another program; choose another with 'listen' or --port");
        }
        catch (SocketException exception)
        {
            return Finding.Wrong("port", $"{address} can't be listened on: {exception.Message.TrimEnd('.')}; choose another with 'listen' or --host and --port");
        }
    }

    private static async Task<bool> IsHubAsync(ListenAddress address, CancellationToken cancellation)
    {
        // Its name may be one that no loopback address has, and nothing is told to it.
        using var handler = new HttpClientHandler { ServerCertificateCustomValidationCallback = HttpClientHandler.DangerousAcceptAnyServerCertificateValidator };
        using var http = new HttpClient(handler) { Timeout = s_patience };
        try
        {
            var url = new Uri(address with { Host = address.IsWildcard ? "127.0.0.1" : address.Host, IsHttp2 = false } + "/healthz");
            using var response = await http.GetAsync(url, cancellation);
            return response.Headers.Contains("x-request-id") && (await response.Content.ReadAsStringAsync(cancellation)).StartsWith("{\"status\":\"", StringComparison.Ordinal);
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException && !cancellation.IsCancellationRequested)
        {
            return false;
        }
    }
}
