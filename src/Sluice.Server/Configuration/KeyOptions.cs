namespace Sluice.Server.Configuration;

/// <summary>A key with limits, and whose it is.</summary>
/// <param name="Id">Whose answers are asked for with it, and what its use is counted under; see <see cref="ApiKey.IsId"/>.</param>
/// <param name="Key">The secret.</param>
public sealed record KeyOptions(string Id, string Key)
{
    /// <summary>Id of a project whose limits hold too; null for none.</summary>
    public string? Project { get; init; }

    /// <summary>Ids of models that may be asked, with <c>*</c> at the end for any rest. The default value, null, is all.</summary>
    public IReadOnlyList<string>? Models { get; init; }

    /// <summary>The default value is none.</summary>
    public LimitOptions Limits { get; init; } = LimitOptions.None;

    /// <summary>From when on it opens nothing any more; null for never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>Stand with what it uses, for reports. The default value is none.</summary>
    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>();

    /// <summary>The default value is <see cref="ExhaustedPolicy.Length"/>.</summary>
    public ExhaustedPolicy OnExhausted { get; init; }

    /// <summary>
    /// Whether an answer begins only where budgets have room for all of it, its prompt and its most tokens. The default value, false, holds
    /// a slice that is renewed.
    /// </summary>
    public bool HoldsWhole { get; init; }

    /// <summary>
    /// Whether the key pays for all attempts at its answers. The default value, false, leaves hedges, failures and rescues to the hub.
    /// </summary>
    public bool PaysAttempts { get; init; }

    /// <summary>
    /// Whether an answer of a fallback has the price of the model that was asked for. The default value, false, is that of the model that
    /// answered.
    /// </summary>
    public bool PaysAsAsked { get; init; }

    /// <summary>Whether nothing that is asked with it is written into spans, whatever the configuration says of its project. The default value is false.</summary>
    public bool IsNeverCaptured { get; init; }

    /// <summary>Without the secret.</summary>
    public override string ToString() => $"a key of {Id}";
}

/// <summary>A group of keys with limits of its own.</summary>
/// <param name="Id">See <see cref="ApiKey.IsId"/>.</param>
/// <param name="Limits">Hold for all its keys together.</param>
public sealed record ProjectOptions(string Id, LimitOptions Limits);

/// <summary>The file of who used what.</summary>
public sealed record LedgerOptions
{
    /// <summary>Full path. The default value, null, is <c>sluice/ledger.db</c> in the user's data folder.</summary>
    public string? Path { get; init; }

    /// <summary>
    /// Whether an answer is in the file before an upstream is asked for it. The default value, false, lets a killed process lose the
    /// requests of its last tenth of a second.
    /// </summary>
    public bool IsStrict { get; init; }

    /// <summary>
    /// Whether keys with budgets are served while the file can't be written. The default value, false, refuses them when as many rows wait
    /// as memory is to hold.
    /// </summary>
    public bool ServesUnwritten { get; init; }
}
