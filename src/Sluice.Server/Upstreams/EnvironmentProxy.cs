using System.Net;
using Sluice.Server.Configuration;

namespace Sluice.Server.Upstreams;

/// <summary>
/// The outbound proxy that the environment names, as curl and Go read it: <c>HTTP_PROXY</c>, <c>HTTPS_PROXY</c>, <c>ALL_PROXY</c> and
/// <c>NO_PROXY</c>, lower case first. What is on this machine is reached without it.
/// </summary>
internal sealed class EnvironmentProxy : IWebProxy
{
    private static readonly char[] s_separators = [',', ' ', '\t', '\n', '\r'];
    private readonly Uri? _http;
    private readonly Uri? _https;
    private readonly DirectHosts[] _direct;

    private EnvironmentProxy(Uri? http, Uri? https, string direct)
    {
        (_http, _https) = (http, https);
        Credentials = new ProxyCredentials([http, https]);
        _direct = [.. direct.Split(s_separators, StringSplitOptions.RemoveEmptyEntries).Select(DirectHosts.Parse)];
    }

    /// <summary>Those in the proxies' own addresses.</summary>
    public ICredentials? Credentials { get; set; }

    /// <summary>Null where the environment names no proxy: then the system's settings count.</summary>
    /// <param name="environment">Value of a variable, or null.</param>
    public static EnvironmentProxy? Create(Func<string, string?> environment)
    {
        string? Find(string name) =>
            environment(name.ToLowerInvariant()) is { Length: > 0 } lower ? lower : environment(name) is { Length: > 0 } upper ? upper : null;

        // In a CGI program HTTP_PROXY is a header of the client.
        var isCgi = environment("GATEWAY_INTERFACE") is { Length: > 0 } || environment("REQUEST_METHOD") is { Length: > 0 };
        var all = Find("ALL_PROXY");
        var http = Parse((isCgi ? environment("http_proxy") : Find("HTTP_PROXY")) ?? all);
        var https = Parse(Find("HTTPS_PROXY") ?? all);
        return http is null && https is null ? null : new EnvironmentProxy(http, https, Find("NO_PROXY") ?? "");
    }

    public Uri? GetProxy(Uri destination) =>
        IsDirect(destination) ? null : destination.Scheme is "https" or "wss" ? _https : _http;

    public bool IsBypassed(Uri host) => GetProxy(host) is null;

    private bool IsDirect(Uri destination)
    {
        var name = destination.IdnHost.TrimEnd('.');
        if (HostNames.IsLoopback(name)) return true;
        var address = IPAddress.TryParse(name, out var parsed) ? Unmapped(parsed) : null;
        if (address is not null && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) || IPAddress.IsLoopback(address))) return true;
        return Array.Exists(_direct, hosts => hosts.Covers(name, address, destination.Port));
    }

    private static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    // A proxy without a scheme speaks HTTP.
    private static Uri? Parse(string? text)
    {
        if (text is null) return null;
        text = text.Trim();
        if (!text.Contains("://", StringComparison.Ordinal)) text = "http://" + text;
        // Names are always resolved by a SOCKS 5 proxy here.
        if (text.StartsWith("socks5h://", StringComparison.OrdinalIgnoreCase)) text = "socks5://" + text["socks5h://".Length..];
        return Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Host.Length > 0 ? uri : null;
    }

    /// <summary>An entry of <c>NO_PROXY</c>.</summary>
    /// <param name="Name">With a dot in front it is every host below, without one also the host itself. Null for addresses.</param>
    /// <param name="Network">Addresses; null for names.</param>
    /// <param name="Port">Null for every port.</param>
    private readonly record struct DirectHosts(string? Name, IPNetwork? Network, int? Port)
    {
        public static DirectHosts Parse(string entry)
        {
            if (IPNetwork.TryParse(entry, out var network)) return new DirectHosts(null, network, null);
            // The network's address may have bits behind the prefix, which IPNetwork doesn't take.
            var slash = entry.IndexOf('/', StringComparison.Ordinal);
            if (slash > 0 && IPAddress.TryParse(entry.AsSpan(0, slash), out var inside) && int.TryParse(entry.AsSpan(slash + 1), out var length)
                && length >= 0 && length <= inside.GetAddressBytes().Length * 8)
                return new DirectHosts(null, new IPNetwork(Masked(inside, length), length), null);

            var (host, port) = SplitPort(entry);
            if (IPAddress.TryParse(host, out var address)) return new DirectHosts(null, Single(Unmapped(address)), port);
            // "*.example.com" is ".example.com".
            if (host.StartsWith("*.", StringComparison.Ordinal)) host = host[1..];
            return new DirectHosts(host.TrimEnd('.'), null, port);
        }

        public bool Covers(string name, IPAddress? address, int port)
        {
            if (Port is { } only && only != port) return false;
            if (Network is { } network) return address is not null && network.Contains(address);
            if (Name is "*") return true;
            if (Name!.Length == 0 || address is not null) return false;
            return Name[0] == '.'
                ? name.EndsWith(Name, StringComparison.OrdinalIgnoreCase)
                : name.Equals(Name, StringComparison.OrdinalIgnoreCase)
                    || (name.Length > Name.Length && name[^(Name.Length + 1)] == '.' && name.EndsWith(Name, StringComparison.OrdinalIgnoreCase));
        }

        // An IPv6 address has a port only behind brackets.
        private static (string Host, int? Port) SplitPort(string entry)
        {
            var close = entry.IndexOf(']', StringComparison.Ordinal);
            if (entry.StartsWith('[') && close > 0)
                return (entry[1..close], int.TryParse(entry.AsSpan(close + 1).TrimStart(':'), out var behind) ? behind : null);
            var colon = entry.IndexOf(':', StringComparison.Ordinal);
            return colon >= 0 && colon == entry.LastIndexOf(':') && int.TryParse(entry.AsSpan(colon + 1), out var port) ? (entry[..colon], port) : (entry, null);
        }

        private static IPNetwork Single(IPAddress address) => new(address, address.GetAddressBytes().Length * 8);

        private static IPAddress Masked(IPAddress address, int length)
        {
            var bytes = address.GetAddressBytes();
            for (var i = 0; i < bytes.Length; i++) bytes[i] &= (byte)(0xFF00 >> int.Clamp(length - (i * 8), 0, 8));
            return new IPAddress(bytes);
        }
    }

    private sealed class ProxyCredentials(Uri?[] proxies) : ICredentials
    {
        public NetworkCredential? GetCredential(Uri uri, string authType)
        {
            if (proxies.FirstOrDefault(proxy => proxy is { UserInfo.Length: > 0 } && proxy.Equals(uri)) is not { } proxy) return null;
            var parts = proxy.UserInfo.Split(':', 2);
            return new NetworkCredential(Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "");
        }
    }
}
