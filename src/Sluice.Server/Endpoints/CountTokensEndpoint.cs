using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Messages;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Endpoints;

/// <summary>
/// <c>POST /v1/messages/count_tokens</c>: how many tokens a prompt has. The local engine and Anthropic's servers count; for any other model the
/// hub estimates, and a header says so.
/// </summary>
internal sealed class CountTokensEndpoint(RequestBody bodies, ReasoningSeal? seal = null)
{
    /// <summary>On replies whose number nobody has counted.</summary>
    public const string EstimatedHeader = "Sluice-Estimated";

    private static readonly MessagesDialect s_dialect = MessagesDialect.Instance;

    public async Task InvokeAsync(HttpContext context, RequestScope scope)
    {
        var (count, error) = await CountAsync(context, scope);
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        await JsonReply.WriteAsync(context, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"input_tokens\":{count}}}")));
    }

    private async Task<(int Count, ApiError? Error)> CountAsync(HttpContext context, RequestScope scope)
    {
        if (RequestBody.CheckContentType(context.Request) is { } wrongType) return (0, wrongType);
        var (body, unread) = await bodies.ReadAsync(context);
        if (unread is not null) return (0, unread);
        if (!s_dialect.TryReadOutline(body, out var outline, out var error)) return (0, error);
        if (scope.Configuration.Router.Find(outline.Model) is not { } route || !scope.Caller.MayUse(route.Model)) return (0, ApiErrors.ModelNotFound(outline.Model));
        var client = new ClientRequest(MessagesPassedRequest.WithMaxTokens(body), s_dialect, seal);
        // The one that would be asked first.
        if (route.Tiers[0][0].Upstream is ITokenCounter counter)
        {
            var question = new TokenQuestion(client, body, ForwardedHeaders.Of(context.Request, s_dialect.PassedHeaders));
            var counted = await counter.CountAsync(question, context.RequestAborted);
            if (counted.Error is not null) return (0, counted.Error);
            if (counted.Tokens is { } tokens) return (tokens, null);
        }
        if (!client.TryTranslate(NeutralForm.ChatServer, out _, out var refused)) return (0, refused);
        context.Response.Headers[EstimatedHeader] = "1";
        return (int.Max(1, AnswerRelay.EstimateTokens(outline.PromptBytes)), null);
    }
}
