using Sluice.Server.Metering;
using Sluice.Server.Models;

namespace Sluice.Server.Access;

/// <summary>Who asks: the owner of what is asked for, by an id that stays the same when a credential changes.</summary>
/// <param name="id">Under which answers are kept from now on.</param>
/// <param name="formerIds">Under which answers of this caller may have been kept before; they stay the caller's.</param>
internal sealed class Caller(string id, params IReadOnlyList<string> formerIds)
{
    /// <summary>Everybody, where nobody is told from anybody else.</summary>
    public static Caller Everybody { get; } = new("");

    public string Id => id;

    /// <summary>Who is charged, and what limits hold; null where nothing is counted.</summary>
    public Account? Account { get; init; }

    /// <summary>Whether a model is there for the caller.</summary>
    public bool MayUse(ModelEntry model) => Account?.MayUse(model.Id) != false;

    /// <summary>All ids under which an answer is the caller's, the current one first.</summary>
    public IReadOnlyList<string> Ids { get; } = [id, .. formerIds];
}
