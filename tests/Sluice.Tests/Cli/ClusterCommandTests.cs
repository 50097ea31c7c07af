using System.Text.Json;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice migrate` and `sluice cluster`, with a real database.</summary>
public sealed class ClusterCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-cluster-").FullName;
    private readonly TestTerminal _terminal = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Configure(string connection)
    {
        var file = Path.Combine(_folder, "sluice.yaml");
        File.WriteAllText(file, $$"""
            cluster: {postgres: "{{connection}}", peer_listen: "h2c://127.0.0.1:7071", advertise: "http://127.0.0.1:7071", secret: "a secret of this test"}
            """);
        return file;
    }

    [Fact]
    public async Task Tables_are_made_once_and_hubs_are_listed()
    {
        var server = await PostgresServer.FindAsync();
        Assert.SkipWhen(server is null, PostgresServer.Missing);
        var connection = await server.CreateDatabaseAsync();
        var file = Configure(connection);
        Assert.Equal(0, await _terminal.RunAsync("migrate", "--config", file));
        Assert.Contains("are made: version 2", _terminal.Output, StringComparison.Ordinal);
        Assert.Equal(0, await _terminal.RunAsync("migrate", "--config", file));
        Assert.Contains("of version 2 already", _terminal.Output, StringComparison.Ordinal);
        await server.QueryAsync(connection, """
            insert into sluice.node values (gen_random_uuid(), 'http://a:7071', '1.0.0', 'AVX2', '{m}', 1, false, now() - interval '1 hour', now() + interval '9 seconds');
            insert into sluice.node values (gen_random_uuid(), 'http://b:7071', '1.0.0', 'AVX2', '{m}', 1, true, now(), now() - interval '90 seconds');
            insert into sluice.answer (id, owner, epoch, isa, principal, raw_hash, on_disconnect, model, created, dialect) select 'x', id, 1, '', '', '', 0, 'm', 0, 'chat' from sluice.node where url = 'http://a:7071';
            insert into sluice.answer (id, epoch, isa, principal, raw_hash, on_disconnect, model, created, dialect) values ('y', 1, '', '', '', 0, 'm', 0, 'chat');
            """);
        Assert.Equal(0, await _terminal.RunAsync("cluster", "--config", file, "--json"));
        using var listed = JsonDocument.Parse(_terminal.Output[_terminal.Output.IndexOf('[', StringComparison.Ordinal)..]);
        Assert.Equal(["ready", "gone", "nobody"], listed.RootElement.EnumerateArray().Select(static node => node.GetProperty("state").GetString()));
        Assert.Equal([1, 0, 1], listed.RootElement.EnumerateArray().Select(static node => node.GetProperty("open").GetInt32()));
        Assert.Equal(0, await _terminal.RunAsync("cluster", "--config", file));
        Assert.Contains("http://a:7071", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_that_is_not_there_and_a_configuration_without_a_cluster_are_said()
    {
        var file = Configure("Host=127.0.0.1;Port=1;Username=u;Password=SECRET;Database=d");
        Assert.Equal(2, await _terminal.RunAsync("migrate", "--config", file));
        Assert.Contains("127.0.0.1:1/d", _terminal.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("SECRET", _terminal.Error, StringComparison.Ordinal);
        File.WriteAllText(file, "{}");
        Assert.Equal(2, await _terminal.RunAsync("cluster", "--config", file));
        Assert.Contains("has no 'cluster'", _terminal.Error, StringComparison.Ordinal);
    }
}
