using System.Net;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;

namespace Sluice.Server.Access;

/// <summary>
/// Which names the hub answers to. A page on the web can let its own name point at this machine (DNS rebinding) and would then
/// speak to the hub as if it were its origin; its name in the Host header gives it away.
/// </summary>
internal sealed class HostPolicy
{
    private readonly HashSet<string> _names;
    private readonly bool _anyName;
    private readonly bool _anyAddress;

    public HostPolicy(SluiceOptions options)
    {
        _anyName = options.AllowedHosts.Contains("*");
        // An IP address can't be rebound, so where every address is listened on, every address is a good name.
        _anyAddress = options.Listen.Any(address => address.IsWildcard);
        _names = new HashSet<string>(
            options.AllowedHosts.Concat(options.Listen.Select(address => address.Host)).Select(Normalize), StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>Null when the request may pass.</summary>
    public ApiError? Check(HttpRequest request) => IsAllowed(request.Host.Host)
        ? null
        : ApiErrors.Forbidden($"The host '{request.Host.Host}' is not known here. Add it to allowed_hosts to use it.", "host_not_allowed");

    private bool IsAllowed(string host)
    {
        var name = Normalize(host);
        if (_anyName || HostNames.IsLoopback(name) || _names.Contains(name)) return true;
        return _anyAddress && IPAddress.TryParse(name, out _);
    }

    private static string Normalize(string host) => host.Trim('[', ']').TrimEnd('.');
}
