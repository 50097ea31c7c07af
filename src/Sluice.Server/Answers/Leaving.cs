using Sluice.Server.Runtime;
using Sluice.Server.Storage;

namespace Sluice.Server.Answers;

/// <summary>What is at an answer that has not ended.</summary>
internal enum ProductionStage
{
    /// <summary>Something that can't be suspended, or nothing yet.</summary>
    Opaque,

    /// <summary>The local engine, which can be suspended.</summary>
    Suspendable,

    /// <summary>The local engine, which has been told to suspend.</summary>
    Suspending,

    /// <summary>Nothing: the answer is suspended.</summary>
    Suspended,
}

/// <summary>What is done with an answer that nobody reads.</summary>
internal enum LeavingAct
{
    /// <summary>It stays as it is, for the time being.</summary>
    Stay,

    /// <summary>The local engine stops at it, until somebody comes.</summary>
    Suspend,

    /// <summary>It ends.</summary>
    Cancel,
}

/// <summary>The time that an answer has without a reader.</summary>
internal enum LeavingTimer
{
    /// <summary>None is set.</summary>
    None,

    /// <summary><see cref="Limits.UnseenGrace"/>: an automatic retry may come.</summary>
    Unseen,

    /// <summary>
    /// <see cref="Limits.Detached"/>, or <see cref="Limits.DetachedContentMax"/> pieces of content: a client with a key comes back.
    /// </summary>
    Detached,

    /// <summary><see cref="Limits.Adoptable"/>: then nobody can ask for it any more.</summary>
    Adoptable,
}

/// <summary>
/// What becomes of an answer when its last reader leaves, and when its time without one is up. Decided from values alone.
/// </summary>
/// <param name="Act">To be done at once.</param>
/// <param name="Timer">To be set.</param>
/// <param name="SuspendsLater">Whether the local engine is suspended as soon as it takes over, unless a reader comes before that.</param>
internal readonly record struct Leaving(LeavingAct Act, LeavingTimer Timer = LeavingTimer.None, bool SuspendsLater = false)
{
    /// <summary>The last reader has left.</summary>
    /// <param name="policy">What the request wants.</param>
    /// <param name="hasKey">Whether it has an <c>Idempotency-Key</c>: then its client comes back.</param>
    /// <param name="hasSent">
    /// Whether any client has anything of the answer: one that knows its id may come back, a retry may not adopt it.
    /// </param>
    /// <param name="retention">What must not be kept is never suspended.</param>
    /// <param name="stage">What is at it.</param>
    public static Leaving Decide(
        DisconnectPolicy policy, bool hasKey, bool hasSent, Retention retention, ProductionStage stage) => (policy, stage) switch
        {
            (DisconnectPolicy.Cancel, _) => new(LeavingAct.Cancel),
            (DisconnectPolicy.Continue, _) => new(LeavingAct.Stay),
            (_, ProductionStage.Suspending) => new(LeavingAct.Stay),
            (_, ProductionStage.Suspended) => DecideSuspended(hasKey, hasSent, retention),
            _ when hasKey => new(LeavingAct.Stay, LeavingTimer.Detached),
            (_, ProductionStage.Suspendable) when retention != Retention.Off => new(LeavingAct.Suspend),
            _ when hasSent => new(LeavingAct.Cancel),
            _ => new(LeavingAct.Stay, LeavingTimer.Unseen, SuspendsLater: retention != Retention.Off),
        };

    /// <summary>The engine has stopped at it, and nobody reads it.</summary>
    /// <param name="hasKey">As in <see cref="Decide"/>.</param>
    /// <param name="hasSent">As in <see cref="Decide"/>: nobody knows the id of what nobody has seen.</param>
    /// <param name="retention">As in <see cref="Decide"/>.</param>
    public static Leaving DecideSuspended(bool hasKey, bool hasSent, Retention retention) =>
        retention == Retention.Off ? new(LeavingAct.Cancel)
        : new(LeavingAct.Stay, hasKey || hasSent ? LeavingTimer.None : LeavingTimer.Adoptable);

    /// <summary>
    /// Its time without a reader is up. The work of a server that is paid by the answer is paid already; the hub's own engine has others to
    /// serve.
    /// </summary>
    /// <param name="timer">Which one.</param>
    /// <param name="retention">As in <see cref="Decide"/>.</param>
    /// <param name="stage">As in <see cref="Decide"/>.</param>
    public static Leaving DecideTimeUp(LeavingTimer timer, Retention retention, ProductionStage stage) => (timer, stage) switch
    {
        (LeavingTimer.Adoptable, _) => new(LeavingAct.Cancel),
        (_, ProductionStage.Suspending or ProductionStage.Suspended) => new(LeavingAct.Stay),
        (_, ProductionStage.Suspendable) => new(retention == Retention.Off ? LeavingAct.Cancel : LeavingAct.Suspend),
        (LeavingTimer.Detached, _) => new(LeavingAct.Stay, SuspendsLater: true),
        _ => new(LeavingAct.Cancel),
    };
}
