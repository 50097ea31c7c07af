using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;

namespace Sluice.Server.Endpoints;

/// <summary>The door that a request came to, so that an error has its shape wherever it is found. A feature of the HTTP context.</summary>
/// <param name="Dialect">What is spoken there.</param>
internal sealed record Door(AnswerDialect Dialect)
{
    /// <summary>Says which door it is; replies then have its header with the request's name.</summary>
    public static void Set(HttpContext context, AnswerDialect dialect, string requestId)
    {
        context.Features.Set(new Door(dialect));
        if (dialect.RequestIdHeader is { } header) context.Response.Headers[header] = requestId;
    }
}
