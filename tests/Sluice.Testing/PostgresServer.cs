using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Sluice.Testing;

/// <summary>
/// A PostgreSQL of the test process, in a folder of its own and on loopback; it goes with the process. Nothing is made durable, so that it is fast.
/// </summary>
public sealed class PostgresServer
{
    private static readonly Lazy<Task<PostgresServer?>> s_shared = new(StartSharedAsync);
    private static int s_databaseCount;

    private readonly string _binaries;
    private readonly string _folder;
    private readonly int _port;
    private Process? _process;

    private PostgresServer(string binaries, string folder, int port) => (_binaries, _folder, _port) = (binaries, folder, port);

    /// <summary>Why tests are skipped where there is none.</summary>
    public const string Missing = "PostgreSQL is not installed here: apt-get install postgresql-15 (or later)";

    /// <summary>One for the whole process; null where none is installed.</summary>
    public static Task<PostgresServer?> FindAsync() => s_shared.Value;

    /// <summary>One of its own, to be stopped and started at will; null where none is installed.</summary>
    public static async Task<PostgresServer?> CreateAsync()
    {
        if (FindBinaries() is not { } binaries) return null;
        var folder = Directory.CreateTempSubdirectory("sluice-postgres-").FullName;
        var server = new PostgresServer(binaries, folder, FreePort());
        AppDomain.CurrentDomain.ProcessExit += (_, _) => server.Dispose();
        if (Environment.UserName == "root") await RunAsync("chown", ["postgres", folder]);
        await RunAsync(server.Own("initdb"), server.OwnArguments("initdb", ["-D", server.Data, "-A", "trust", "-U", "sluice", "-E", "UTF8", "--no-sync", "--locale=C"]));
        await server.StartAsync();
        return server;
    }

    /// <summary>A connection string of an empty database.</summary>
    public async Task<string> CreateDatabaseAsync()
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"test{Interlocked.Increment(ref s_databaseCount)}");
        await RunAsync(Path.Combine(_binaries, "createdb"), ["-h", "127.0.0.1", "-p", $"{_port}", "-U", "sluice", "-T", "template0", name]);
        return $"Host=127.0.0.1;Port={_port};Username=sluice;Database={name};Maximum Pool Size=8";
    }

    /// <summary>Runs SQL in a database, as anybody could; returns what it prints.</summary>
    /// <param name="connection">Of <see cref="CreateDatabaseAsync"/>.</param>
    /// <param name="sql">Statements.</param>
    public Task<string> QueryAsync(string connection, string sql)
    {
        var name = connection.Split(';').First(static part => part.StartsWith("Database=", StringComparison.Ordinal))["Database=".Length..];
        return RunAsync(Path.Combine(_binaries, "psql"), ["-h", "127.0.0.1", "-p", $"{_port}", "-U", "sluice", "-d", name, "-AtX", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    }

    /// <summary>As a crash does; what was committed is there after the next start.</summary>
    public async Task StopAsync()
    {
        await RunAsync(Own("pg_ctl"), OwnArguments("pg_ctl", ["-D", Data, "-m", "immediate", "stop"]));
        if (_process is { } process) await process.WaitForExitAsync();
        _process = null;
    }

    /// <summary>Completes when it takes connections.</summary>
    public async Task StartAsync()
    {
        _process = Start(Own("postgres"), OwnArguments(
            "postgres", ["-D", Data, "-p", $"{_port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200"]));
        var patience = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await RunAsync(Path.Combine(_binaries, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", $"{_port}"]);
                return;
            }
            catch (InvalidOperationException) when (patience.Elapsed < TimeSpan.FromSeconds(30))
            {
                await Task.Delay(50);
            }
        }
    }

    private static async Task<PostgresServer?> StartSharedAsync() => await CreateAsync();

    private string Data => Path.Combine(_folder, "data");

    // It refuses to run as root.
    private string Own(string program) => Environment.UserName == "root" ? "setpriv" : Path.Combine(_binaries, program);

    private string[] OwnArguments(string program, string[] arguments) =>
        Environment.UserName == "root" ? ["--reuid=postgres", "--regid=postgres", "--clear-groups", Path.Combine(_binaries, program), .. arguments] : arguments;

    private static string? FindBinaries()
    {
        const string Debian = "/usr/lib/postgresql";
        var folders = Directory.Exists(Debian)
            ? Directory.GetDirectories(Debian).OrderByDescending(static path => int.TryParse(Path.GetFileName(path), out var version) ? version : 0).Select(static path => Path.Combine(path, "bin"))
            : [];
        return folders.Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')).FirstOrDefault(static path => File.Exists(Path.Combine(path, "initdb")));
    }

    /// <summary>A port of loopback that nobody listens on in this moment.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static Process Start(string program, string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" })!;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static async Task<string> RunAsync(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {await error}");
        return (await output).TrimEnd();
    }

    private void Dispose()
    {
        try
        {
            if (_process is { HasExited: false }) RunAsync(Own("pg_ctl"), OwnArguments("pg_ctl", ["-D", Data, "-m", "immediate", "stop"])).Wait(TimeSpan.FromSeconds(5));
            Directory.Delete(_folder, recursive: true);
        }
#pragma warning disable CA1031 // The process ends, and nobody is left to be told.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
    }
}
