using System.Diagnostics;
using Sluice.Protocol.Answers;

namespace Sluice.Server.Telemetry;

/// <summary>What the tokens of an attempt are to the answer.</summary>
internal enum AttemptRole
{
    /// <summary>They are the answer, or a part of it.</summary>
    Answer,

    /// <summary>The attempt failed, and the client has nothing of it.</summary>
    Failed,

    /// <summary>Of two attempts at a time the other one was faster.</summary>
    HedgeLost,

    /// <summary>It was to complete an answer that broke off, and could not.</summary>
    RescueLost,

    /// <summary>It broke off, and another attempt made all of it again.</summary>
    Replaced,
}

/// <summary>
/// What one attempt takes: at whom, how it went, and its tokens, also where its answer came to nothing. An answer that is suspended and
/// continued at the
/// same engine is one attempt. Written by whoever makes the attempt, and read after the end of the answer.
/// </summary>
/// <param name="upstream">Where it is made.</param>
/// <param name="model">Id of the hub's model that it is made for.</param>
/// <param name="span">Its own, which ends with it; null where nobody traces.</param>
internal sealed class UsageEntry(UpstreamIdentity upstream, string model, Activity? span)
{
    /// <summary>Id of the hub's model that it is made for.</summary>
    public string Model => model;

    /// <summary>What of <see cref="Usage"/> earlier productions have written down; null where it has no row yet.</summary>
    public AnswerUsage? Written { get; set; }

    public UpstreamIdentity Upstream => upstream;

    public Activity? Span => span;

    /// <summary>What its tokens are to the answer.</summary>
    public AttemptRole Role { get; set; }

    /// <summary>How it went; null when it was cancelled, and before its end.</summary>
    public AttemptResult? Result { get; set; }

    /// <summary>Its tokens; null where it took none, or nobody can say.</summary>
    public AnswerUsage? Usage { get; private set; }

    /// <summary>Whether <see cref="Usage"/> is a guess.</summary>
    public bool IsEstimated { get; private set; }

    /// <summary>
    /// Completes with what it took as a whole where the rest is read although nobody wants it: null where nobody states it. Null where
    /// nothing is read any more.
    /// </summary>
    public Task<AnswerUsage?>? Drained { get; set; }

    public void SetUsage(AnswerUsage usage, bool isEstimated) => (Usage, IsEstimated) = (usage, isEstimated);
}
