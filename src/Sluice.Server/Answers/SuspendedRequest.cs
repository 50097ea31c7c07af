using System.Buffers;
using Sluice.Protocol.Chat;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Answers;

/// <summary>From what is kept of a suspended answer to the attempt that goes on with it.</summary>
internal static class SuspendedRequest
{
    /// <summary>Null when the request is none that this hub takes; another version of it may have kept it.</summary>
    public static Attempt? TryRead(Answer answer, SuspendedGeneration from, Production stretch, TimeProvider time)
    {
        if (!ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(from.Body), out var request, out _)) return null;
        return new Attempt(answer.Generation, request with { Model = from.ModelName }, from.Body, [])
        {
            Principal = answer.Owner.Principal,
            ModelName = from.ModelName,
            Created = from.Created,
            Commit = new CommitPoint(time),
            IsLast = true,
            Dialect = answer.Owner.Dialect,
            Output = answer.CreateWriter(),
            Record = answer.Record,
            Production = stretch,
            From = from,
        };
    }
}
