using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;

namespace Sluice.Cli.Commands;

/// <summary>Makes, shows, changes and revokes keys. A running hub takes a change over within a second.</summary>
internal static class KeysCommand
{
    private static readonly TimeSpan s_grace = TimeSpan.FromHours(24);

    public static Command Create(Terminal terminal)
    {
        var command = new Command("keys", "Create, list and revoke API keys with limits");
        command.Subcommands.Add(CreateCreate(terminal));
        command.Subcommands.Add(CreateList(terminal));
        command.Subcommands.Add(CreateShow(terminal));
        command.Subcommands.Add(CreateUpdate(terminal));
        command.Subcommands.Add(CreateRotate(terminal));
        command.Subcommands.Add(CreateRevoke(terminal));
        return command;
    }

    private static Argument<string> KeyArgument() => new Argument<string>("KEY") { Description = "its id or name" }.NotAnOption();

    private static Command CreateCreate(Terminal terminal)
    {
        var (config, json, flags) = (CommonOptions.Config(), CommonOptions.Json(), new KeyFlags());
        var name = new Option<string>("--name") { Description = "for people; unique", HelpName = "NAME", Required = true };
        var command = new Command("create", "Make a key; it is shown once, alone on the output") { name, json, config };
        flags.AddTo(command);
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var now = terminal.Time.GetUtcNow();
            var called = result.GetRequiredValue(name);
            if (!ApiKey.IsId(called)) throw new CliException($"--name is 1 to {ApiKey.IdLengthMax} letters, digits, dots, hyphens and underscores, not '{called}'.");
            if (LedgerLookup.Use(ledger, file => file.FindKey(called)) is not null) throw new CliException($"There is a key '{called}' already.");
            var id = IssuedKey.CreateId();
            var secret = IssuedKey.Create(id);
            var key = new KeyRow(id, called) { Hash = IssuedKey.HashOf(secret), LastFour = secret[^4..], Created = now.ToUnixTimeMilliseconds() };
            key = flags.Apply(key, result, ReadProjects(terminal, ledger, result.GetValue(config)), now);
            Put(terminal, ledger, key, "key.create", null);
            if (result.GetValue(json))
            {
                Listing.WriteJson(terminal.Output, writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("id", id);
                    writer.WriteString("name", called);
                    writer.WriteString("key", secret);
                    writer.WriteEndObject();
                });
            }
            else
            {
                terminal.Output.WriteLine(secret);
            }

            terminal.Error.WriteLine($"The key {called} has the id {id}. It is not shown again; 'sluice keys rotate {called}' makes another one.");
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateList(Terminal terminal)
    {
        var (config, json) = (CommonOptions.Config(), CommonOptions.Json());
        var project = new Option<string?>("--project") { Description = "only of this project", HelpName = "ID" };
        var all = new Option<bool>("--all") { Description = "revoked and expired ones too" };
        var command = new Command("list", "List the keys") { project, all, json, config };
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var now = terminal.Time.GetUtcNow().ToUnixTimeMilliseconds();
            var (keys, uses) = LedgerLookup.Use(ledger, static file => (file.ReadKeys(), file.ReadLastUses()));
            var listing = new Listing("ID", "NAME", "PROJECT", "ENDS WITH", "LIMITS", "LAST USED", "STATE");
            foreach (var key in keys.Where(key => result.GetValue(all) || key.IsLiveAt(now)).Where(key => result.GetValue(project) is not { } wanted || key.Project == wanted))
            {
                long? used = uses.TryGetValue(key.Id, out var at) ? at : null;
                listing.Add(
                    writer => WriteMembers(writer, key, used, now),
                    key.Id, key.Name, key.Project ?? "", key.LastFour, LimitFlags.Describe(key.Limits), LedgerLookup.Day(used), StateOf(key, now));
            }

            listing.Write(terminal, result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateShow(Terminal terminal)
    {
        var (config, json, argument) = (CommonOptions.Config(), CommonOptions.Json(), KeyArgument());
        var command = new Command("show", "Show a key and what it has used") { argument, json, config };
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var key = Find(ledger, result.GetRequiredValue(argument));
            var now = terminal.Time.GetUtcNow().ToUnixTimeMilliseconds();
            var sum = LedgerLookup.Use(ledger, file => file.ReadUsage(0, now + 1, [], key.Id)).FirstOrDefault() ?? new UsageSum([]);
            if (result.GetValue(json))
            {
                Listing.WriteJson(terminal.Output, writer =>
                {
                    writer.WriteStartObject();
                    WriteMembers(writer, key, null, now);
                    writer.WriteNumber("requests", sum.Requests);
                    writer.WriteNumber("tokens", sum.Prompt + sum.Output);
                    writer.WriteNumber("usd", sum.ChargeNanoUsd / 1e9m);
                    writer.WriteEndObject();
                });
                return ExitCodes.Success;
            }

            (string Name, string Value)[] facts =
            [
                ("id", key.Id), ("name", key.Name), ("project", key.Project ?? ""), ("ends with", key.LastFour), ("state", StateOf(key, now)),
                ("created", LedgerLookup.Day(key.Created)), ("expires", LedgerLookup.Day(key.Expires)), ("limits", LimitFlags.Describe(key.Limits)),
                ("models", key.Limits.Models is { } models ? string.Join(", ", models) : "all"),
                ("tags", string.Join(", ", key.Limits.Tags.Select(static tag => $"{tag.Key}={tag.Value}"))),
                ("requests", sum.Requests.ToString("N0", CultureInfo.InvariantCulture)),
                ("tokens", (sum.Prompt + sum.Output).ToString("N0", CultureInfo.InvariantCulture)), ("usd", LedgerLookup.Usd(sum.ChargeNanoUsd)),
            ];
            foreach (var (called, value) in facts.Where(static fact => fact.Value.Length > 0)) terminal.Output.WriteLine($"{called,-10}  {value}");
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateUpdate(Terminal terminal)
    {
        var (config, argument, flags) = (CommonOptions.Config(), KeyArgument(), new KeyFlags());
        var command = new Command("update", "Change the limits of a key; what it has used stays used") { argument, config };
        flags.AddTo(command);
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var key = Find(ledger, result.GetRequiredValue(argument));
            var changed = flags.Apply(key, result, ReadProjects(terminal, ledger, result.GetValue(config)), terminal.Time.GetUtcNow());
            Put(terminal, ledger, changed, "key.update", key);
            terminal.Error.WriteLine($"The key {key.Name} is changed: {LimitFlags.Describe(changed.Limits)}.");
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateRotate(Terminal terminal)
    {
        var (config, argument) = (CommonOptions.Config(), KeyArgument());
        var grace = new Option<string?>("--grace") { Description = "how long the secret of before opens the hub too, such as 24h; 0 for not at all; default is 24h", HelpName = "TIME" };
        var command = new Command("rotate", "Make another secret for a key; its id, answers and budgets stay") { argument, grace, config };
        command.SetAction(result =>
        {
            var rest = result.GetValue(grace) is not { } text ? s_grace
                : KeyFlags.ParseSpan(text) ?? throw new CliException($"--grace is a time such as 24h or 30m, or 0, not '{text}'.");
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var key = Find(ledger, result.GetRequiredValue(argument));
            if (key.Revoked is not null) throw new CliException($"The key {key.Name} is revoked; make another one with 'sluice keys create'.");
            var secret = IssuedKey.Create(key.Id);
            var changed = key with
            {
                Hash = IssuedKey.HashOf(secret),
                LastFour = secret[^4..],
                FormerHash = key.Hash,
                FormerUntil = terminal.Time.GetUtcNow().Add(rest).ToUnixTimeMilliseconds(),
            };
            Put(terminal, ledger, changed, "key.rotate", key);
            terminal.Output.WriteLine(secret);
            terminal.Error.WriteLine($"The key {key.Name} has another secret. It is not shown again; the one of before works until {DateTimeOffset.FromUnixTimeMilliseconds(changed.FormerUntil.Value):yyyy-MM-dd HH:mm} UTC.");
            return ExitCodes.Success;
        });
        return command;
    }

    private static Command CreateRevoke(Terminal terminal)
    {
        var (config, argument) = (CommonOptions.Config(), KeyArgument());
        var command = new Command("revoke", "Let a key open the hub no more, and end what runs for it") { argument, config };
        command.SetAction(result =>
        {
            using var ledger = LedgerLookup.Open(terminal, result.GetValue(config));
            var key = Find(ledger, result.GetRequiredValue(argument));
            if (key.Revoked is null)
                Put(terminal, ledger, key with { Revoked = terminal.Time.GetUtcNow().ToUnixTimeMilliseconds() }, "key.revoke", key);
            terminal.Error.WriteLine($"The key {key.Name} is revoked.");
            return ExitCodes.Success;
        });
        return command;
    }

    private static KeyRow Find(LedgerFile ledger, string idOrName) =>
        LedgerLookup.Use(ledger, file => file.FindKey(idOrName))
            ?? throw new CliException($"There is no key '{(IssuedKey.IsMeant(idOrName) ? "of this secret; name it by its id or name" : idOrName)}'.");

    private static List<string> ReadProjects(Terminal terminal, LedgerFile ledger, string? config) =>
    [
        .. ConfigurationLookup.Load(terminal, config, null).Options.Projects.Select(static project => project.Id),
        .. LedgerLookup.Use(ledger, static file => file.ReadProjects()).Select(static project => project.Id),
    ];

    private static void Put(Terminal terminal, LedgerFile ledger, KeyRow key, string action, KeyRow? before)
    {
        var audit = LedgerLookup.Audit(terminal, action, key.Id, before is null ? null : Describe(before), Describe(key));
        LedgerLookup.Use(ledger, file =>
        {
            file.PutKey(key, audit);
            return true;
        });
    }

    // Without secrets.
    private static string Describe(KeyRow key)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            WriteMembers(json, key, null, long.MinValue);
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void WriteMembers(Utf8JsonWriter json, KeyRow key, long? used, long now)
    {
        json.WriteString("id", key.Id);
        json.WriteString("name", key.Name);
        if (key.Project is { } project) json.WriteString("project", project);
        json.WriteString("last_four", key.LastFour);
        json.WriteNumber("created_at", key.Created / 1000);
        if (key.Expires is { } expires) json.WriteNumber("expires_at", expires / 1000);
        if (key.Revoked is { } revoked) json.WriteNumber("revoked_at", revoked / 1000);
        if (used is { } last) json.WriteNumber("last_used_at", last / 1000);
        if (now > long.MinValue) json.WriteString("state", StateOf(key, now));
        json.WritePropertyName("limits");
        json.WriteRawValue(key.Limits.ToJson());
    }

    private static string StateOf(KeyRow key, long now) => key.Revoked is not null ? "revoked" : key.IsLiveAt(now) ? "live" : "expired";
}
