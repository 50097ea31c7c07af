using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>Sends an answer to one client, from its place to the end.</summary>
internal sealed class AnswerReply(Limits limits, TimeProvider time)
{
    /// <param name="context">Gets the reply.</param>
    /// <param name="mount">See <see cref="RequestScope.Mount"/>.</param>
    /// <param name="admitted">The client's place, which is disposed here.</param>
    /// <param name="isStream">Whether the events go out, or their fold.</param>
    /// <param name="hasIds">Whether events have ids.</param>
    public async Task WriteAsync(HttpContext context, string mount, Admitted admitted, bool isStream, bool hasIds)
    {
        var reader = admitted.Connection;
        var answer = reader.Answer;
        if (context.Features.Get<RequestScope>() is { } scope) scope.Answer = answer;
        AddHeaders(context.Response.Headers, mount, answer, admitted.Way, isStream);
        try
        {
            context.Response.OnStarting(OnStarting, reader);
            await using var left = context.RequestAborted.UnsafeRegister(static state => ((AnswerConnection)state!).Leave(), reader);
            var eventIds = hasIds ? Encoding.ASCII.GetBytes(answer.Id) : null;
            var dialect = answer.Owner.Dialect;
            if (isStream)
            {
                var mayBeWhole = answer.Owner.MayBeWhole;
                await new StreamReply(context, dialect, answer.Log, reader.Cursor, limits, time, eventIds, mayBeWhole, answer.Id).WriteAsync();
            }
            else
            {
                await FoldedReply.WriteAsync(context, dialect, answer.Log, reader.Cursor, limits, time);
            }
            if (answer.Log.End is not null && reader.Cursor.Position == answer.Log.EventCount && !context.RequestAborted.IsCancellationRequested)
            {
                answer.SetDelivered();
            }
        }
        finally
        {
            reader.Dispose();
            // The request is over when its answer is, unless that goes on without it.
            if (answer.Log.End is not null || answer.Generation.CancellationCause is not null) await answer.Produced;
        }
    }

    /// <summary>Says which answer it is, how the client came to it, and where it is found again.</summary>
    public static void AddHeaders(IHeaderDictionary headers, string mount, Answer answer, string way, bool isStream)
    {
        headers["Sluice-Stream-Id"] = answer.Id;
        headers["Sluice-Stream-Attempt"] = way;
        headers.ContentLocation = $"{mount}{answer.Owner.Dialect.Path}/{answer.Id}{(isStream ? "?stream=true" : "")}";
    }

    private static Task OnStarting(object connection)
    {
        ((AnswerConnection)connection).SetSent();
        return Task.CompletedTask;
    }
}
