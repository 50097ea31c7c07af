using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Server.Configuration;

namespace Sluice.Server.Ledger;

/// <summary>A key that a command made. Times are Unix milliseconds.</summary>
/// <param name="Id">What use is counted under; stays when the secret changes.</param>
/// <param name="Name">For people; unique.</param>
internal sealed record KeyRow(string Id, string Name)
{
    public string? Project { get; init; }

    /// <summary>SHA-256 of the whole key.</summary>
    public required byte[] Hash { get; init; }

    /// <summary>The last four characters, so that people can tell keys from each other.</summary>
    public required string LastFour { get; init; }

    public required long Created { get; init; }

    public long? Expires { get; init; }

    public long? Revoked { get; init; }

    /// <summary>Of the secret before the last rotation, as long as that opens the hub too.</summary>
    public byte[]? FormerHash { get; init; }

    public long? FormerUntil { get; init; }

    public StoredLimits Limits { get; init; } = new();

    /// <summary>Whether it opens the hub.</summary>
    public bool IsLiveAt(long now) => Revoked is null && (Expires is null || now < Expires);
}

/// <summary>A top-up: an amount beside a budget, until a moment.</summary>
/// <param name="Scope"><c>key</c>, <c>project</c> or <c>hub</c>.</param>
/// <param name="Id">Of the scope.</param>
/// <param name="Unit">Of <paramref name="Amount"/>.</param>
/// <param name="Amount">In that unit.</param>
/// <param name="Granted">Unix milliseconds.</param>
/// <param name="Until">Unix milliseconds.</param>
internal sealed record GrantRow(string Scope, string Id, BudgetUnit Unit, long Amount, long Granted, long Until);

/// <summary>One change that somebody made.</summary>
/// <param name="At">Unix milliseconds.</param>
/// <param name="Actor">Who: the user of the command, or an administrator.</param>
/// <param name="Action">Such as <c>key.create</c>.</param>
/// <param name="Target">Id of what was changed.</param>
/// <param name="Before">As JSON, without secrets; null for something new.</param>
/// <param name="After">As JSON, without secrets; null for something that is gone.</param>
internal sealed record AuditRow(long At, string Actor, string Action, string Target, string? Before, string? After);

/// <summary>Limits as they stand in the file: JSON.</summary>
internal sealed record StoredLimits
{
    public int? Rpm { get; init; }

    public long? Tpm { get; init; }

    public int? Parallel { get; init; }

    public IReadOnlyList<StoredBudget> Budgets { get; init; } = [];

    public IReadOnlyList<string>? Models { get; init; }

    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>();

    public ExhaustedPolicy OnExhausted { get; init; }

    /// <summary>As the limiter takes them.</summary>
    public LimitOptions ToOptions() => new()
    {
        RequestsPerMinute = Rpm,
        TokensPerMinute = Tpm,
        Parallel = Parallel,
        Budgets = [.. Budgets.Select(static budget => budget.ToOptions())],
    };

    public string ToJson() => JsonSerializer.Serialize(this, KeyJsonContext.Default.StoredLimits);

    /// <exception cref="LedgerException">The text is not of ours.</exception>
    public static StoredLimits Parse(string json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, KeyJsonContext.Default.StoredLimits) ?? new StoredLimits();
        }
        catch (JsonException exception)
        {
            throw new LedgerException("The ledger has limits that can't be read; put a copy of it back.", exception);
        }
    }
}

/// <summary>A budget as it stands in the file.</summary>
internal sealed record StoredBudget(BudgetUnit Unit, long Amount, BudgetPeriod Per, string? Zone)
{
    public BudgetOptions ToOptions() => new(Unit, Amount, Per)
    {
        Zone = Zone is not null && TimeZoneInfo.TryFindSystemTimeZoneById(Zone, out var zone) ? zone : TimeZoneInfo.Utc,
    };
}

/// <summary>JSON of the ledger.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(StoredLimits))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
internal sealed partial class KeyJsonContext : JsonSerializerContext;
