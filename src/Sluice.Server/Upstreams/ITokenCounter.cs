using Sluice.Protocol.Errors;

namespace Sluice.Server.Upstreams;

/// <summary>What can say how many tokens a request's prompt has.</summary>
internal interface ITokenCounter
{
    /// <summary>Counts the tokens of a prompt without an answer to it.</summary>
    /// <param name="question">What would be asked.</param>
    /// <param name="cancellation">Nobody waits any more.</param>
    Task<TokenCount> CountAsync(TokenQuestion question, CancellationToken cancellation);
}

/// <summary>A request whose prompt is counted.</summary>
/// <param name="Client">The request, with all that an answer needs.</param>
/// <param name="Headers">Those of the client that may be passed on.</param>
internal sealed record TokenQuestion(ClientRequest Client, IReadOnlyList<KeyValuePair<string, string>> Headers);

/// <summary>What a count gave; nothing at all where nobody could count.</summary>
/// <param name="Tokens">Tokens of the prompt.</param>
/// <param name="Error">Why the request would be refused.</param>
internal readonly record struct TokenCount(int? Tokens, ApiError? Error);
