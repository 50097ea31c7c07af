using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Messages;
using Sluice.Protocol.Responses;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Endpoints;

/// <summary>
/// <c>POST /v1/messages/count_tokens</c> and <c>POST /v1/responses/input_tokens</c>: how many tokens a prompt has. The local engine counts, and
/// so do upstreams of these two APIs; for any other model the hub estimates, and a header says so.
/// </summary>
internal sealed class CountTokensEndpoint(RequestBody bodies, ResponsesPreparation responses, ReasoningSeal? seal = null)
{
    /// <summary>On replies whose number nobody has counted.</summary>
    public const string EstimatedHeader = "Sluice-Estimated";

    /// <summary>Whether a path below a door is where its prompts are counted.</summary>
    public static bool IsAt(AnswerDialect dialect, string rest) => dialect switch
    {
        MessagesDialect => rest == "count_tokens",
        ResponsesDialect => rest == "input_tokens",
        _ => false,
    };

    public async Task InvokeAsync(HttpContext context, RequestScope scope, AnswerDialect dialect)
    {
        var (count, error) = await CountAsync(context, scope, dialect);
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        var kind = dialect is ResponsesDialect ? "\"object\":\"response.input_tokens\"," : "";
        await JsonReply.WriteAsync(context, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{{kind}\"input_tokens\":{count}}}")));
    }

    private async Task<(int Count, ApiError? Error)> CountAsync(HttpContext context, RequestScope scope, AnswerDialect dialect)
    {
        if (RequestBody.CheckContentType(context.Request) is { } wrongType) return (0, wrongType);
        var (bytes, unread) = await bodies.ReadAsync(context);
        if (unread is not null) return (0, unread);
        ReadOnlyMemory<byte> body = bytes;
        if (!dialect.TryReadOutline(bytes, out var outline, out var error)) return (0, error);
        if (scope.Configuration.Router.Find(outline.Model) is not { } route || !scope.Caller.MayUse(route.Model)) return (0, UnknownModel.Refuse(outline.Model, scope.Configuration.Catalog, scope.Caller));
        if (dialect is ResponsesDialect)
        {
            var (prepared, lost) = await responses.PrepareAsync(body, scope.Caller, outline.IsStream, context.RequestAborted);
            if (prepared is null) return (0, lost);
            body = prepared.Body;
            // Of the whole conversation.
            if (!dialect.TryReadOutline(body.Span, out outline, out error)) return (0, error);
        }
        else
        {
            body = MessagesPassedRequest.WithMaxTokens(body);
        }
        var client = new ClientRequest(body, dialect, seal);
        // The one that would be asked first.
        if (route.Tiers[0][0].Upstream is ITokenCounter counter)
        {
            var question = new TokenQuestion(client, ForwardedHeaders.Of(context.Request, dialect.PassedHeaders));
            var counted = await counter.CountAsync(question, context.RequestAborted);
            if (counted.Error is not null) return (0, counted.Error);
            if (counted.Tokens is { } tokens) return (tokens, null);
        }
        if (!client.TryTranslate(NeutralForm.ChatServer, out _, out var refused)) return (0, refused);
        context.Response.Headers[EstimatedHeader] = "1";
        return (int.Max(1, AnswerRelay.EstimateTokens(outline.PromptBytes)), null);
    }
}
