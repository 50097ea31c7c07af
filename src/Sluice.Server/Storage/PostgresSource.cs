using System.Net.Sockets;
using Npgsql;

namespace Sluice.Server.Storage;

/// <summary>Connections to the cluster's database, and what is made of their failures.</summary>
/// <remarks>
/// No statement leaves anything behind in its connection, so that a pooler in transaction mode may stand between: nothing is prepared, nothing
/// set, and nothing has to be reset.
/// </remarks>
internal static class PostgresSource
{
    private const int ConnectSeconds = 5;
    private const int CommandSeconds = 5;
    private const int KeepAliveSeconds = 5;
    private const int ConnectionsMax = 16;

    /// <summary>Opens no connection yet.</summary>
    /// <param name="text">In Npgsql's words.</param>
    /// <exception cref="ArgumentException">The text is not a connection string.</exception>
    public static NpgsqlDataSource Create(string text)
    {
        var given = new NpgsqlConnectionStringBuilder(text);
        var words = new NpgsqlConnectionStringBuilder(text) { NoResetOnClose = true, Enlist = false };
        if (!given.ContainsKey("Timeout")) words.Timeout = ConnectSeconds;
        if (!given.ContainsKey("Command Timeout")) words.CommandTimeout = CommandSeconds;
        if (!given.ContainsKey("Keepalive")) words.KeepAlive = KeepAliveSeconds;
        if (!given.ContainsKey("Maximum Pool Size")) words.MaxPoolSize = ConnectionsMax;
        if (!given.ContainsKey("Application Name")) words.ApplicationName = "sluice";
        var builder = new NpgsqlSlimDataSourceBuilder(words.ConnectionString);
        builder.EnableArrays().EnableTransportSecurity();
        return builder.Build();
    }

    /// <summary>Where it is, for a person, without the password.</summary>
    public static string NameOf(NpgsqlDataSource source)
    {
        var words = new NpgsqlConnectionStringBuilder(source.ConnectionString);
        return $"{words.Host}:{words.Port}/{words.Database ?? words.Username}";
    }

    /// <summary>Whether an exception is the database's, or of the way to it.</summary>
    public static bool IsFailure(Exception exception) =>
        exception is NpgsqlException or TimeoutException or SocketException or IOException
            || (exception is InvalidOperationException and not ObjectDisposedException && exception.Source == "Npgsql");

    /// <summary>The same as what a store throws. Connections to a server that was replaced, or stops, are not used again.</summary>
    public static StoreException Explain(NpgsqlDataSource source, Exception exception)
    {
        var state = (exception as PostgresException)?.SqlState ?? "";
        if (state is PostgresErrorCodes.ReadOnlySqlTransaction or PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CannotConnectNow
            || state.StartsWith("08", StringComparison.Ordinal))
        {
            source.Clear();
        }
        var name = NameOf(source);
        var reason = exception is PostgresException { MessageText: var text } ? text : exception.Message.TrimEnd('.');
        return state switch
        {
            PostgresErrorCodes.DiskFull or PostgresErrorCodes.OutOfMemory =>
                new(StoreFault.Full, $"There is no room for more in the database {name} ({reason}); free space on its disk.", exception),
            PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification or PostgresErrorCodes.InsufficientPrivilege
                or PostgresErrorCodes.InvalidCatalogName =>
                new(StoreFault.Unwritable, $"The database {name} can't be used ({reason}); look at cluster.postgres and the rights of its user.", exception),
            // Only the check for gaps compares a text with a number.
            PostgresErrorCodes.InvalidTextRepresentation =>
                new(StoreFault.Failed, $"The database {name} lacks {reason}: somebody else has changed it.", exception),
            _ => new(StoreFault.Failed, $"The database {name} can't be read or written ({reason}); answers go on in memory until it can.", exception),
        };
    }
}
