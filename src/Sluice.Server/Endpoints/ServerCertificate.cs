using System.Net.Security;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>
/// What clients are shown at a TLS handshake. The files are looked at when somebody connects, at most once in
/// <see cref="Limits.CertificateLook"/>, so whatever renews them has nobody to tell. A new file that can't be used changes nothing.
/// Connections that are open stay as they are. Thread-safe.
/// </summary>
internal sealed partial class ServerCertificate
{
    private static readonly TimeSpan s_expiresSoon = TimeSpan.FromDays(14);

    private readonly Lock _lock = new();
    private readonly CertificateOptions _options;
    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private SslStreamCertificateContext _current;
    private string _stamp;
    private long _looked;

    /// <exception cref="CryptographicException">The files can't be used.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    public ServerCertificate(CertificateOptions options, Limits limits, TimeProvider time, ILogger<ServerCertificate> logger)
    {
        (_options, _limits, _time, _logger) = (options, limits, time, logger);
        _stamp = StampOf(options);
        _current = CertificateFile.LoadContext(options);
        _looked = time.GetTimestamp();
        CheckDates();
    }

    /// <summary>The certificate of now, with its chain.</summary>
    public SslStreamCertificateContext Current
    {
        get
        {
            lock (_lock)
            {
                if (_time.GetElapsedTime(_looked) >= _limits.CertificateLook) Look();
                return _current;
            }
        }
    }

    private void Look()
    {
        _looked = _time.GetTimestamp();
        try
        {
            var stamp = StampOf(_options);
            if (stamp == _stamp) return;
            // Told once for each change, also of one that is of no use.
            _stamp = stamp;
            _current = CertificateFile.LoadContext(_options);
            LogReplaced(_options.Path, _current.TargetCertificate.NotAfter);
            CheckDates();
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            LogUnusable(_options.Path, exception.Message.TrimEnd('.'));
        }
    }

    private void CheckDates()
    {
        var end = _current.TargetCertificate.NotAfter;
        if (end.ToUniversalTime() - _time.GetUtcNow().UtcDateTime < s_expiresSoon) LogExpires(_options.Path, end);
    }

    // Renewal replaces files, or the symbolic links to them.
    private static string StampOf(CertificateOptions options)
    {
        static string Of(string path)
        {
            var target = File.ResolveLinkTarget(path, returnFinalTarget: true) is FileInfo found ? found : new FileInfo(path);
            return $"{target.FullName} {target.LastWriteTimeUtc.Ticks} {(target.Exists ? target.Length : -1)}";
        }

        return Of(options.Path) + (options.KeyPath is { } key ? "\n" + Of(key) : "");
    }

    [LoggerMessage(1, LogLevel.Information, "{Path} has changed: new connections get the certificate that is valid until {NotAfter:u}.")]
    private partial void LogReplaced(string path, DateTime notAfter);

    [LoggerMessage(2, LogLevel.Warning, "{Path} has changed and can't be used: {Problem}; the certificate of before stays.")]
    private partial void LogUnusable(string path, string problem);

    [LoggerMessage(3, LogLevel.Warning, "The certificate of {Path} is valid until {NotAfter:u}; replace the file, and the hub takes it without a restart.")]
    private partial void LogExpires(string path, DateTime notAfter);
}
