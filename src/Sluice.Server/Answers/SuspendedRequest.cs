using Sluice.Server.Upstreams;

namespace Sluice.Server.Answers;

/// <summary>From what is kept of a suspended answer to the attempt that goes on with it.</summary>
internal static class SuspendedRequest
{
    /// <summary>Null when the request is none that this hub takes; another version of it may have kept it.</summary>
    public static Attempt? TryRead(Answer answer, SuspendedGeneration from, Production stretch, TimeProvider time)
    {
        var client = new ClientRequest(from.Body);
        var dialect = answer.Owner.Dialect;
        if (!dialect.TryReadOutline(from.Body.Span, out var outline, out _) || !client.TryRead(out _, out _)) return null;
        return new Attempt(answer.Generation, outline with { Model = from.ModelName }, client, [])
        {
            Principal = answer.Owner.Principal,
            ModelName = from.ModelName,
            Created = from.Created,
            Commit = new CommitPoint(time),
            IsLast = true,
            Dialect = dialect,
            Output = answer.CreateWriter(),
            Record = answer.Record,
            Production = stretch,
            From = from,
        };
    }
}
