using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>Sends an answer to one client, from its place to the end.</summary>
internal sealed class AnswerReply(Limits limits, TimeProvider time)
{
    public const string CompletionPath = "/v1/chat/completions/";

    /// <param name="context">Gets the reply.</param>
    /// <param name="reader">The client's place; disposed here.</param>
    /// <param name="isStream">Whether the events go out, or their fold.</param>
    /// <param name="hasIds">Whether events have ids.</param>
    /// <param name="way">How the client came to this answer: a word.</param>
    public async Task WriteAsync(HttpContext context, AnswerConnection reader, bool isStream, bool hasIds, string way)
    {
        var answer = reader.Answer;
        var headers = context.Response.Headers;
        headers["Sluice-Stream-Id"] = answer.Id;
        headers["Sluice-Stream-Attempt"] = way;
        headers.ContentLocation = $"{CompletionPath}{answer.Id}{(isStream ? "?stream=true" : "")}";
        try
        {
            await using var left = context.RequestAborted.UnsafeRegister(static state => ((AnswerConnection)state!).Leave(), reader);
            if (isStream) await new StreamReply(context, answer.Owner.Dialect, answer.Log, reader.Cursor, limits, time, hasIds ? Encoding.ASCII.GetBytes(answer.Id) : null, answer.Owner.MayBeWhole).WriteAsync();
            else await FoldedReply.WriteAsync(context, answer.Owner.Dialect, answer.Log, reader.Cursor, limits, time);
        }
        finally
        {
            reader.Dispose();
            // The request is over when its answer is, unless that goes on without it.
            if (answer.Log.End is not null || answer.Generation.CancellationCause is not null) await answer.Produced;
        }
    }
}
