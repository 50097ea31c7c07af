using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>The commands that make keys and say who used what, as a person and as a script use them.</summary>
public sealed class KeysCommandTests : IDisposable
{
    private const string Canary = "sk-sl-";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-keys-").FullName;

    private string Configuration => Path.Combine(_folder, "sluice.yaml");

    private string LedgerPath => Path.Combine(_folder, "ledger.db");

    public KeysCommandTests() => File.WriteAllText(Configuration, "ledger: {path: ledger.db}\nprojects: [{id: search}]\nmodels:\n  - {id: m, upstreams: [{url: \"http://127.0.0.1:1/v1\"}]}\n");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<(int Exit, string Output, string Error)> RunAsync(params string[] arguments)
    {
        var terminal = new TestTerminal();
        var exit = await terminal.RunAsync([.. arguments, "--config", Configuration]);
        return (exit, terminal.Output, terminal.Error);
    }

    // T85, T60
    [Fact]
    public async Task Create_writes_the_key_alone_on_the_output_and_nowhere_else()
    {
        var (exit, output, error) = await RunAsync("keys", "create", "--name", "ci", "--project", "search", "--models", "small,gpt-4.*", "--budget", "5usd/day", "--rpm", "60", "--expires", "90d", "--tag", "env=ci");
        Assert.Equal(0, exit);
        var key = Assert.Single(output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith(Canary, key, StringComparison.Ordinal);
        Assert.DoesNotContain(key, error, StringComparison.Ordinal);
        Assert.DoesNotContain(key[17..60], System.Text.Encoding.Latin1.GetString(await File.ReadAllBytesAsync(LedgerPath)), StringComparison.Ordinal);
        var (_, list, _) = await RunAsync("keys", "list", "--json");
        Assert.DoesNotContain(key[17..], list, StringComparison.Ordinal);
        var row = JsonDocument.Parse(list).RootElement[0];
        Assert.Equal(("ci", "search", "live"), (row.GetProperty("name").GetString(), row.GetProperty("project").GetString(), row.GetProperty("state").GetString()));
        Assert.Equal(5_000_000_000, row.GetProperty("limits").GetProperty("budgets")[0].GetProperty("amount").GetInt64());
        using var ledger = new LedgerFile(LedgerPath);
        Assert.Equal(IssuedKey.HashOf(key), ledger.FindKey("ci")!.Hash);
    }

    // T64
    [Fact]
    public async Task Rotate_keeps_the_id_and_at_most_two_secrets_and_revoke_ends_both()
    {
        var first = (await RunAsync("keys", "create", "--name", "ci")).Output.Trim();
        var second = (await RunAsync("keys", "rotate", "ci")).Output.Trim();
        var third = (await RunAsync("keys", "rotate", "ci", "--grace", "1h")).Output.Trim();
        Assert.Equal(3, new[] { first, second, third }.Distinct().Count());
        Assert.Equal(IssuedKey.FindId(first), IssuedKey.FindId(third));
        using (var ledger = new LedgerFile(LedgerPath))
        {
            var row = ledger.FindKey("ci")!;
            Assert.Equal(IssuedKey.HashOf(third), row.Hash);
            Assert.Equal(IssuedKey.HashOf(second), row.FormerHash);
        }
        Assert.Equal(0, (await RunAsync("keys", "revoke", "ci")).Exit);
        Assert.Contains("revoked", (await RunAsync("keys", "list", "--all")).Output, StringComparison.Ordinal);
        Assert.DoesNotContain("ci", (await RunAsync("keys", "list")).Output, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("keys", "rotate", "ci")).Exit);
        var (_, audit, _) = await RunAsync("audit", "--json");
        Assert.Equal(["key.create", "key.rotate", "key.rotate", "key.revoke"], JsonDocument.Parse(audit).RootElement.EnumerateArray().Select(row => row.GetProperty("action").GetString()));
        Assert.DoesNotContain(first[17..60], audit, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'no' is not a valid amount", "keys", "create", "--name", "x", "--budget", "no/day")]
    [InlineData("hour, day, week, month or total", "keys", "create", "--name", "x", "--budget", "5usd/year")]
    [InlineData("There is no project 'serch'", "keys", "create", "--name", "x", "--project", "serch")]
    [InlineData("--expires lies in the past", "keys", "create", "--name", "x", "--expires", "2020-01-01")]
    [InlineData("There is no key 'nobody'", "keys", "show", "nobody")]
    [InlineData("did you mean 'model'?", "usage", "--by", "modl")]
    [InlineData("stands in the configuration", "projects", "create", "search")]
    [InlineData("There is no key or project 'nobody'", "budget", "add", "nobody", "5usd")]
    public async Task What_is_wrong_is_one_sentence_and_exit_code_2(string message, params string[] arguments)
    {
        var (exit, output, error) = await RunAsync(arguments);
        Assert.Equal((2, ""), (exit, output));
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }

    [Fact]
    public async Task Without_a_ledger_the_remedy_is_named()
    {
        await File.WriteAllTextAsync(Configuration, "models:\n  - {id: m, upstreams: [{url: \"http://127.0.0.1:1/v1\"}]}\n");
        var (exit, _, error) = await RunAsync("usage");
        Assert.Equal(2, exit);
        Assert.Contains("add 'ledger: {}' to it", error, StringComparison.Ordinal);
    }

    // T86
    [Fact]
    public async Task Usage_is_the_same_as_a_table_as_csv_and_as_json()
    {
        using (var ledger = new LedgerFile(LedgerPath))
        {
            ledger.Commit([.. Enumerable.Range(0, 5).Select(i => Entry($"a{i}", i < 3 ? "=cmd()" : "a,\"b\""))]);
        }
        var csv = (await RunAsync("usage", "--by", "key", "--from", "1970-01-01", "--csv")).Output;
        Assert.Equal("key,requests,prompt_tokens,cached_tokens,output_tokens,charge_usd,cost_usd\r\n'=cmd(),3,30,0,15,0.0000021,0.0000021\r\n\"a,\"\"b\"\"\",2,20,0,10,0.0000014,0.0000014\r\n", csv);
        var json = JsonDocument.Parse((await RunAsync("usage", "--by", "key", "--from", "1970-01-01", "--json")).Output).RootElement;
        Assert.Equal(0.0000035m, json.EnumerateArray().Sum(row => row.GetProperty("charge_usd").GetDecimal()));
        Assert.Contains("=cmd()", (await RunAsync("usage", "--by", "key,day", "--from", "1970-01-01")).Output, StringComparison.Ordinal);
        var (exit, verified, _) = await RunAsync("ledger", "verify");
        Assert.Equal(0, exit);
        Assert.Contains("5 answers, 5 attempts", verified, StringComparison.Ordinal);
    }

    private static LedgerEntry Entry(string id, string key)
    {
        var usage = new AnswerUsage(10, 0, 5);
        return new LedgerEntry(
            new AnswerRow(id, 1) { Began = 1000, Ended = 2000, Key = key, Model = "m", Door = "chat", EndedBy = "completed", Usage = usage, PriceVersion = "1", ChargeNanoUsd = 700, CostNanoUsd = 700 },
            [new AttemptRow(id, 0) { Began = 1000, Ended = 2000, Key = key, Model = "m", Upstream = "u", Role = "answer", Usage = usage, ChargedTokens = 15, ChargeNanoUsd = 700, CostNanoUsd = 700 }]);
    }

    [Fact]
    public async Task A_top_up_is_a_grant_with_an_end()
    {
        await RunAsync("keys", "create", "--name", "ci", "--budget", "5usd/day");
        var (exit, _, error) = await RunAsync("budget", "add", "ci", "20usd", "--until", "month");
        Assert.Equal(0, exit);
        Assert.Contains("20.00 usd more for the key key_", error, StringComparison.Ordinal);
        using var ledger = new LedgerFile(LedgerPath);
        var grant = Assert.Single(ledger.ReadGrants(0));
        Assert.Equal(("key", BudgetUnit.NanoUsd, 20_000_000_000), (grant.Scope, grant.Unit, grant.Amount));
    }

    [Fact]
    public async Task Prices_are_imported_for_the_models_that_there_are()
    {
        var list = Path.Combine(_folder, "list.json");
        await File.WriteAllTextAsync(list, """{"x/m":{"input_cost_per_token":1.25e-06,"output_cost_per_token":1e-05,"cache_read_input_token_cost":1.25e-07}}""");
        var output = Path.Combine(_folder, "prices.yaml");
        var (exit, _, error) = await RunAsync("prices", "import", list, "-o", output);
        Assert.True(exit == 0, error);
        Assert.Contains("  m: {input: 1.25, cached: 0.125, output: 10}\n", await File.ReadAllTextAsync(output), StringComparison.Ordinal);
        Assert.Equal(1_250_000, PriceFile.Load(output).Models["m"].TierOf(0).Input);
        await File.AppendAllTextAsync(Configuration, "prices: prices.yaml\n");
        Assert.Contains("1.25", (await RunAsync("prices", "check")).Output, StringComparison.Ordinal);
        await File.WriteAllTextAsync(list, """{"x/m":{"input_cost_per_token":1.25e-05,"output_cost_per_token":1e-04}}""");
        var (refused, _, why) = await RunAsync("prices", "import", list, "-o", output);
        Assert.Equal(2, refused);
        Assert.Contains("--yes", why, StringComparison.Ordinal);
    }
}
