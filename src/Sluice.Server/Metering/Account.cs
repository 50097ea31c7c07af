using System.Collections.Immutable;
using Sluice.Server.Configuration;

namespace Sluice.Server.Metering;

/// <summary>Who is charged: a key or a user, and the scopes whose limits hold. Immutable; what the scopes know changes.</summary>
/// <param name="key">What use is counted under: the caller's id.</param>
/// <param name="name">For people; empty without one.</param>
/// <param name="project">Id of the project; null for none.</param>
/// <param name="scopes">Hub, project, key: those that there are, in this order.</param>
internal sealed class Account(string key, string name, string? project, IReadOnlyList<LimitScope> scopes)
{
    public string Key => key;

    public string Name => name;

    public string? Project => project;

    /// <summary>Looped over at each request, so that it must not allocate an enumerator.</summary>
    public ImmutableArray<LimitScope> Scopes { get; } = [.. scopes];

    /// <summary><see cref="Tags"/> as rows have them; null before the first row.</summary>
    public string? TagsText { get; set; }

    /// <summary>Whether a budget holds.</summary>
    public bool HasBudget
    {
        get
        {
            foreach (var scope in Scopes) if (scope.Meters.Length > 0) return true;
            return false;
        }
    }

    /// <summary>Stand with every row.</summary>
    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>();

    /// <summary>See <see cref="KeyOptions.Models"/>.</summary>
    public IReadOnlyList<string>? Models { get; init; }

    /// <summary>See <see cref="KeyOptions.Expires"/>.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>See <see cref="KeyOptions.OnExhausted"/>.</summary>
    public ExhaustedPolicy OnExhausted { get; init; }

    /// <summary>See <see cref="KeyOptions.HoldsWhole"/>.</summary>
    public bool HoldsWhole { get; init; }

    /// <summary>See <see cref="KeyOptions.PaysAttempts"/>.</summary>
    public bool PaysAttempts { get; init; }

    /// <summary>See <see cref="KeyOptions.PaysAsAsked"/>.</summary>
    public bool PaysAsAsked { get; init; }

    /// <summary>See <see cref="KeyOptions.IsNeverCaptured"/>.</summary>
    public bool IsNeverCaptured { get; init; }

    /// <summary>Whether a model may be asked.</summary>
    /// <param name="id">Its id; an alias is resolved before.</param>
    public bool MayUse(string id) => Models is null || Models.Any(pattern => Matches(pattern, id));

    private static bool Matches(string pattern, string id) => pattern.EndsWith('*')
        ? id.AsSpan().StartsWith(pattern.AsSpan(0, pattern.Length - 1), StringComparison.OrdinalIgnoreCase)
        : id.Equals(pattern, StringComparison.OrdinalIgnoreCase);
}
