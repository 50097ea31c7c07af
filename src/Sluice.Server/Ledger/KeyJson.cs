using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Server.Configuration;

namespace Sluice.Server.Ledger;

/// <summary>A key as administrators' programs write and read it: limits in the words of the configuration, and never a secret.</summary>
internal static class KeyJson
{
    private const long TokensMax = 1_000_000_000_000;

    /// <summary>Writes the members of a key.</summary>
    /// <param name="json">In an object.</param>
    /// <param name="key">The key.</param>
    /// <param name="used">When it was used last, in Unix milliseconds; null for not at all.</param>
    /// <param name="now">Says whether it has expired; null leaves that out.</param>
    public static void Write(Utf8JsonWriter json, KeyRow key, long? used, long? now)
    {
        json.WriteString("id"u8, key.Id);
        json.WriteString("name"u8, key.Name);
        if (key.Project is { } project) json.WriteString("project"u8, project);
        json.WriteString("last_four"u8, key.LastFour);
        json.WriteNumber("created_at"u8, key.Created / 1000);
        if (key.Expires is { } expires) json.WriteNumber("expires_at"u8, expires / 1000);
        if (key.Revoked is { } revoked) json.WriteNumber("revoked_at"u8, revoked / 1000);
        if (used is { } last) json.WriteNumber("last_used_at"u8, last / 1000);
        if (now is { } time) json.WriteString("state"u8, key.Revoked is not null ? "revoked"u8 : key.IsLiveAt(time) ? "live"u8 : "expired"u8);
        if (key.Limits.Rpm is { } rpm) json.WriteNumber("rpm"u8, rpm);
        if (key.Limits.Tpm is { } tpm) json.WriteNumber("tpm"u8, tpm);
        if (key.Limits.Parallel is { } parallel) json.WriteNumber("parallel"u8, parallel);
        json.WriteStartArray("budgets"u8);
        foreach (var budget in key.Limits.Budgets)
        {
            json.WriteStartObject();
            if (budget.Unit == BudgetUnit.NanoUsd) json.WriteNumber("usd"u8, budget.Amount / 1e9m);
            else json.WriteNumber("tokens"u8, budget.Amount);
            json.WriteString("per"u8, budget.Per.ToString().ToLowerInvariant());
            if (budget.Zone is { } zone) json.WriteString("zone"u8, zone);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (key.Limits.Models is not { } models) return;
        json.WriteStartArray("models"u8);
        foreach (var model in models) json.WriteStringValue(model);
        json.WriteEndArray();
    }

    /// <summary>The key as text, for the list of changes.</summary>
    public static string Describe(KeyRow key)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            Write(json, key, null, null);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>The key with what an object changes: a member that is absent changes nothing, and null takes a limit away.</summary>
    /// <param name="key">As it is.</param>
    /// <param name="changes">An object.</param>
    /// <param name="projects">Ids that there are.</param>
    /// <param name="now">The time.</param>
    /// <param name="name">What is wrong, where the result is null.</param>
    /// <param name="expected">What should be there.</param>
    public static KeyRow? Apply(KeyRow key, JsonElement changes, IReadOnlyCollection<string> projects, DateTimeOffset now, out string name, out string expected)
    {
        (name, expected) = ("", "");
        foreach (var member in changes.EnumerateObject())
        {
            name = member.Name;
            var value = member.Value;
            var isNull = value.ValueKind == JsonValueKind.Null;
            KeyRow? changed = null;
            switch (name)
            {
                case "name":
                    // A new key has it already, and it says who is charged: it stays.
                    expected = "the name that the key has";
                    if (value.ValueKind == JsonValueKind.String && value.ValueEquals(key.Name)) changed = key;
                    break;
                case "project":
                    expected = projects.Count == 0 ? "null, because there are no projects" : $"null or one of {string.Join(", ", projects)}";
                    if (isNull) changed = key with { Project = null };
                    else if (value.ValueKind == JsonValueKind.String && projects.Contains(value.GetString()!)) changed = key with { Project = value.GetString() };
                    break;
                case "expires_at":
                    expected = "null, or Unix seconds that lie ahead";
                    if (isNull) changed = key with { Expires = null };
                    else if (TryNumber(value, 253_402_300_799, out var at) && at > now.ToUnixTimeSeconds()) changed = key with { Expires = at * 1000 };
                    break;
                case "models":
                    expected = "null, or a list of ids, with * only at the end";
                    if (isNull) changed = key with { Limits = key.Limits with { Models = null } };
                    else if (ReadModels(value) is { } models) changed = key with { Limits = key.Limits with { Models = models } };
                    break;
                case "budgets":
                    expected = "a list of {\"usd\" or \"tokens\": above 0, \"per\": hour, day, week, month or total}, one for each unit and window";
                    if (ReadBudgets(value) is { } budgets) changed = key with { Limits = key.Limits with { Budgets = budgets } };
                    break;
                case "rpm" or "parallel" or "tpm":
                    expected = "null, or a whole number from 1 on";
                    if (isNull || TryNumber(value, name == "tpm" ? TokensMax : int.MaxValue, out _)) changed = key with { Limits = WithCount(key.Limits, name, isNull ? null : value.GetInt64()) };
                    break;
                default:
                    expected = "one of name, project, models, rpm, tpm, parallel, budgets, expires_at";
                    break;
            }
            if (changed is null) return null;
            key = changed;
        }
        return key;
    }

    private static StoredLimits WithCount(StoredLimits limits, string name, long? count) => name switch
    {
        "rpm" => limits with { Rpm = (int?)count },
        "tpm" => limits with { Tpm = count },
        _ => limits with { Parallel = (int?)count },
    };

    private static bool TryNumber(JsonElement value, long max, out long number)
    {
        number = 0;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out number) && number >= 1 && number <= max;
    }

    private static List<string>? ReadModels(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0) return null;
        var models = new List<string>();
        foreach (var one in value.EnumerateArray())
        {
            if (one.ValueKind != JsonValueKind.String || one.GetString() is not { Length: > 0 } id) return null;
            if (id.IndexOf('*', StringComparison.Ordinal) is >= 0 and var star && star != id.Length - 1) return null;
            models.Add(id);
        }
        return models;
    }

    private static List<StoredBudget>? ReadBudgets(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array) return null;
        var budgets = new List<StoredBudget>();
        foreach (var one in value.EnumerateArray())
        {
            if (one.ValueKind != JsonValueKind.Object || ReadBudget(one) is not { } budget) return null;
            if (budgets.Exists(other => (other.Unit, other.Per, other.Zone) == (budget.Unit, budget.Per, budget.Zone))) return null;
            budgets.Add(budget);
        }
        return budgets;
    }

    private static StoredBudget? ReadBudget(JsonElement value)
    {
        var period = value.TryGetProperty("per"u8, out var per) && per.ValueKind == JsonValueKind.String ? LimitSection.ParsePeriod(per.GetString()!) : null;
        var zone = value.TryGetProperty("zone"u8, out var text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;
        if (period is null || (zone is not null && !TimeZoneInfo.TryFindSystemTimeZoneById(zone, out _))) return null;
        var (hasUsd, hasTokens) = (value.TryGetProperty("usd"u8, out var usd), value.TryGetProperty("tokens"u8, out var tokens));
        if (hasUsd == hasTokens) return null;
        if (hasTokens) return TryNumber(tokens, long.MaxValue, out var count) ? new StoredBudget(BudgetUnit.Tokens, count, period.Value, zone) : null;
        return usd.ValueKind == JsonValueKind.Number && usd.TryGetDecimal(out var amount) && LimitSection.ParseUsd(amount.ToString(CultureInfo.InvariantCulture)) is { } nano
            ? new StoredBudget(BudgetUnit.NanoUsd, nano, period.Value, zone)
            : null;
    }
}
