namespace Sluice.Server.Configuration;

/// <summary>Reads <c>admin_listen</c> and <c>admin_keys</c>.</summary>
internal static class AdminSection
{
    private const string SocketScheme = "unix:";

    // What the system takes, with the zero at its end.
    private const int SocketPathMax = 107;

    /// <summary>Null where there is none, or it is wrong, which is reported.</summary>
    public static AdminOptions? Read(ConfigurationDocument document, ConfigurationSection root, string folder)
    {
        var keys = document.Strings(root, "admin_keys") ?? [];
        foreach (var (key, place) in keys) ApiKeySection.IsKey(document, key, place);
        if (document.String(root, "admin_listen") is not var (text, mark))
        {
            if (keys.Count > 0) document.Report(root.KeyMark("admin_keys"), "'admin_keys' belong to 'admin_listen', which is not there");
            return null;
        }
        if (root.Find("ledger") is null) document.Report(mark, "'admin_listen' shows what the ledger has: add 'ledger: {}'");
        if (text.StartsWith(SocketScheme, StringComparison.Ordinal))
        {
            var path = Path.GetFullPath(text[SocketScheme.Length..], folder);
            if (path.Length > SocketPathMax) document.Report(mark, $"the path of a Unix socket has at most {SocketPathMax} characters");
            return new AdminOptions { SocketPath = path };
        }
        if (!ListenAddress.TryParse(text, out var address, out var problem)) document.Report(mark, $"admin_listen: {problem}");
        else if (address.IsHttps) document.Report(mark, $"'{text}' asks for TLS, but an administrator's address never leaves this machine; say http://127.0.0.1:PORT or unix:PATH");
        else if (!address.IsLoopback || address.IsWildcard) document.Report(mark, $"'{text}' can be reached from other machines; administrators ask on this one: http://127.0.0.1:PORT or unix:PATH");
        else if (keys.Count == 0) document.Report(mark, "an address needs 'admin_keys', because every user of this machine can reach it; unix:PATH needs none");
        return address is null ? null : new AdminOptions { Address = address, Keys = [.. keys.Select(static key => key.Value)] };
    }
}
