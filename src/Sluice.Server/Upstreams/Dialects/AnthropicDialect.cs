using System.Buffers;
using System.Net.Http.Headers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Messages;
using Sluice.Server.Configuration;

namespace Sluice.Server.Upstreams.Dialects;

/// <summary>Anthropic's Messages API: passed on to clients that speak it too, and translated both ways for others.</summary>
internal sealed class AnthropicDialect(UpstreamOptions options, string modelId) : UpstreamDialect
{
    private const string VersionHeader = "anthropic-version";

    private readonly string _version = options.ApiVersion ?? UpstreamApi.AnthropicVersion;
    private readonly MessagesOptions _messages =
        new(options.Model ?? modelId, options.DefaultMaxTokens, options.Thinking, options.ApiVersion == UpstreamApi.AnthropicSamplingVersion);

    public override string Wire => "messages";

    public override Uri Endpoint { get; } = new(options.Url + "/messages");

    public override Uri ModelsEndpoint { get; } = new(options.Url + "/models");

    public override Uri? CountEndpoint { get; } = new(options.Url + "/messages/count_tokens");

    public override string Provider => "anthropic";

    public override string Model => _messages.Model;

    public override void AddHeaders(HttpRequestHeaders headers)
    {
        // A client of the same API has said itself which version it speaks.
        if (!headers.Contains(VersionHeader)) headers.TryAddWithoutValidation(VersionHeader, _version);
        if (options.ApiKey is { } key) headers.TryAddWithoutValidation("x-api-key", key);
    }

    public override ApiError? WriteBody(Attempt attempt, StreamWish wish, string origin, IBufferWriter<byte> output)
    {
        var form = NeutralForm.Translation with { Origin = origin };
        if (!Translates(attempt))
        {
            MessagesPassedRequest.Write(attempt.Body.Span, Model, wish != StreamWish.None, form with { Seal = attempt.Client.Seal }, output, leavesOutThinking: origin.Length == 0);
            return null;
        }
        if (!attempt.Client.TryRead(form, out var neutral, out var request, out var error)) return error;
        return MessagesRequestWriter.Write(
            attempt.Dialect is ChatDialect ? attempt.Body : neutral, request, _messages with { LeavesOutThinking = origin.Length == 0 }, output);
    }

    public override ApiError? WriteCountBody(TokenQuestion question, string origin, IBufferWriter<byte> output)
    {
        var client = question.Client;
        var form = NeutralForm.Translation with { Origin = origin };
        var body = new ArrayBufferWriter<byte>(client.Body.Length + 128);
        if (client.Dialect.Name == Wire)
        {
            MessagesPassedRequest.Write(client.Body.Span, Model, isStream: null, form with { Seal = client.Seal }, body, leavesOutThinking: origin.Length == 0);
        }
        else
        {
            if (!client.TryRead(form, out var neutral, out var request, out var error)) return error;
            if (MessagesRequestWriter.Write(neutral, request, _messages with { LeavesOutThinking = origin.Length == 0 }, body) is { } refused) return refused;
        }
        MessagesPassedRequest.WriteCounted(body.WrittenSpan, isPassed: client.Dialect.Name == Wire, output);
        return null;
    }

    public override AnswerRelay CreateRelay(Attempt attempt, RelayOptions answer)
    {
        if (!Translates(attempt)) return attempt.Dialect.CreateRelay(answer);
        var custom = attempt.Client.TryRead(NeutralForm.Translation with { Origin = answer.Origin }, out _, out var request, out _)
            ? LocalTools.Find(request)?.Tools.Where(static tool => tool.IsCustom).Select(static tool => tool.Name).ToHashSet()
            : null;
        return new MessagesTranslation(answer, attempt.CreateWriter(attempt.HeadAt(answer.Created) with { ReasoningIsSummary = true }), custom);
    }
}
