using Sluice.Server.Upstreams;

namespace Sluice.Server.Routing;

/// <summary>Takes an attempt that is to continue an answer that broke off.</summary>
internal abstract class RescueWriter : AnswerWriter
{
    /// <summary>Completes, always successfully, when the attempt has ended.</summary>
    public abstract Task WhenEnded { get; }

    /// <summary>Whether the answer has gone beyond what was delivered.</summary>
    public abstract bool IsRescued { get; }

    /// <summary>Whether the attempt said something else.</summary>
    public abstract bool IsDifferent { get; }

    /// <summary>Whether the answer has come to its end.</summary>
    public abstract bool IsWhole { get; }
}
