using Npgsql;

namespace Sluice.Server.Configuration;

/// <summary>Reads <c>cluster</c>.</summary>
internal static class ClusterSection
{
    private static readonly string[] s_keys = ["postgres", "peer_listen", "advertise", "secret"];

    /// <summary>Null where there is none, or it is wrong, which is reported.</summary>
    public static ClusterOptions? Read(ConfigurationDocument document, ConfigurationSection root)
    {
        if (root.Find("cluster") is not { } node || document.Mapping(node, "'cluster'", s_keys) is not { } section) return null;
        var (postgres, listen, advertise, secret) = (
            document.RequiredString(section, "postgres"), document.RequiredString(section, "peer_listen"), document.RequiredString(section, "advertise"),
            document.RequiredString(section, "secret"));
        foreach (var key in (ReadOnlySpan<string>)["store", "store_path", "store_size"])
            if (root.Find(key) is { } other) document.Report(other.Start, $"the hubs of a cluster keep answers in its database; take '{key}' out");
        if (postgres is var (text, place) && FindProblem(text) is { } wrong) document.Report(place, $"'postgres' is not a valid connection string: {wrong}");
        ListenAddress? address = null;
        if (listen is var (own, mark))
        {
            if (!ListenAddress.TryParse(own, out address, out var problem)) document.Report(mark, $"peer_listen: {problem}");
            else if (!address.IsHttp2 || address.Port == 0) document.Report(mark, $"'{own}' is not a valid address for other hubs; expected h2c://HOST:PORT, such as h2c://0.0.0.0:7071");
        }
        Uri? uri = null;
        if (advertise is var (given, there))
        {
            var isValid = Uri.TryCreate(given, UriKind.Absolute, out uri) && uri.Scheme == Uri.UriSchemeHttp && uri.PathAndQuery == "/" && uri.UserInfo.Length == 0;
            if (!isValid) document.Report(there, $"'{given}' is not a valid address of this hub; expected http://HOST:PORT, as the other hubs reach it");
        }
        if (secret is var (word, where) && word.Length < ClusterOptions.SecretLengthMin)
            document.Report(where, $"'secret' needs at least {ClusterOptions.SecretLengthMin} characters, such as those of 'openssl rand -hex 32'");
        if (postgres is null || address is null || uri is null || secret is null) return null;
        return new ClusterOptions(postgres.Value.Value, address, uri, secret.Value.Value);
    }

    private static string? FindProblem(string text)
    {
        try
        {
            var words = new NpgsqlConnectionStringBuilder(text);
            return string.IsNullOrEmpty(words.Host) ? "it names no Host" : null;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or KeyNotFoundException)
        {
            // Npgsql names the word that it doesn't know, never a value.
            return "expected pairs such as Host=db;Username=sluice;Password=${PGPASSWORD};Database=sluice";
        }
    }
}
