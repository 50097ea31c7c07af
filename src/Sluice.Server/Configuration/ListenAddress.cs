using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Sluice.Server.Configuration;

/// <summary>An address to listen on.</summary>
/// <param name="Host">Host name or IP address, IPv6 without brackets.</param>
/// <param name="Port">0 to 65535; 0 takes a free one.</param>
/// <param name="IsHttp2">Whether it speaks HTTP/2 without TLS and without upgrade, and nothing else: scheme <c>h2c</c>.</param>
public sealed record ListenAddress(string Host, int Port, bool IsHttp2 = false)
{
    /// <summary><c>http://127.0.0.1:7070</c>.</summary>
    public static ListenAddress Default { get; } = new("127.0.0.1", 7070);

    /// <summary>Whether it speaks HTTP/1.1 and HTTP/2 under TLS: scheme <c>https</c>. The default value is false.</summary>
    public bool IsHttps { get; init; }

    /// <summary>Whether only this machine can reach it.</summary>
    public bool IsLoopback => HostNames.IsLoopback(Host);

    /// <summary>Whether it stands for every address of the machine.</summary>
    public bool IsWildcard => Host is "*" or "+" || (IPAddress.TryParse(Host, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)));

    /// <summary>Reads <c>http://host:port</c>, <c>https://host:port</c>, <c>h2c://host:port</c>, or <c>host:port</c>; without a port <c>http://host</c> means 80, and <c>https://host</c> 443.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="address">The address.</param>
    /// <param name="problem">One clause that says what is wrong and what would be right.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out ListenAddress? address, [NotNullWhen(false)] out string? problem)
    {
        const string Expected = "expected http://HOST:PORT, such as http://127.0.0.1:7070";
        address = null;
        problem = null;
        var separator = text.IndexOf("://", StringComparison.Ordinal);
        var scheme = separator < 0 ? "http" : text[..separator].ToLowerInvariant();
        var rest = (separator < 0 ? text : text[(separator + 3)..]).TrimEnd('/');
        if (scheme is not ("http" or "https" or "h2c"))
        {
            problem = $"'{text}' has the unknown scheme '{scheme}'; {Expected}";
            return false;
        }

        var colon = rest.LastIndexOf(':');
        var bracket = rest.LastIndexOf(']');
        var host = colon > bracket ? rest[..colon] : rest;
        // Only a URL has a port that goes without saying: a bare word is more often a slip than a host.
        var port = separator < 0 ? -1 : scheme switch { "http" => 80, "https" => 443, _ => -1 };
        if (colon > bracket && !(int.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= 65535))
        {
            problem = $"'{text}' has the port '{rest[(colon + 1)..]}'; expected a number from 0 to 65535";
            return false;
        }
        if (host.StartsWith('[') && host.EndsWith(']')) host = host[1..^1];
        if (port < 0 || (Uri.CheckHostName(host) == UriHostNameType.Unknown && host is not ("*" or "+")))
        {
            problem = $"'{text}' is not a valid address; {Expected}";
            return false;
        }
        address = new ListenAddress(host, port, scheme == "h2c") { IsHttps = scheme == "https" };
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{(IsHttps ? "https" : IsHttp2 ? "h2c" : "http")}://{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}");
}

/// <summary>What host names mean.</summary>
internal static class HostNames
{
    /// <summary>Whether the name always means this machine: <c>localhost</c>, names below it, and loopback addresses.</summary>
    public static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.AsSpan().Trim(['[', ']']), out var ip) && IPAddress.IsLoopback(ip));
}
