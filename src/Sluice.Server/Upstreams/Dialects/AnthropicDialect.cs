using System.Buffers;
using System.Net.Http.Headers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Messages;
using Sluice.Server.Configuration;

namespace Sluice.Server.Upstreams.Dialects;

/// <summary>Anthropic's Messages API, translated both ways.</summary>
internal sealed class AnthropicDialect(UpstreamOptions options, string modelId) : UpstreamDialect
{
    private readonly string _version = options.ApiVersion ?? UpstreamApi.AnthropicVersion;
    private readonly MessagesOptions _messages =
        new(options.Model ?? modelId, options.DefaultMaxTokens, options.Thinking, options.ApiVersion == UpstreamApi.AnthropicSamplingVersion);

    public override string Wire => "messages";

    public override Uri Endpoint { get; } = new(options.Url + "/messages");

    public override Uri ModelsEndpoint { get; } = new(options.Url + "/models");

    public override string Provider => "anthropic";

    public override string Model => _messages.Model;

    public override void AddHeaders(HttpRequestHeaders headers)
    {
        headers.TryAddWithoutValidation("anthropic-version", _version);
        if (options.ApiKey is { } key) headers.TryAddWithoutValidation("x-api-key", key);
    }

    public override ApiError? WriteBody(Attempt attempt, StreamWish wish, string origin, IBufferWriter<byte> output)
    {
        var form = NeutralForm.Translation with { Origin = origin };
        if (!attempt.Client.TryRead(form, out var neutral, out var request, out var error)) return error;
        return MessagesRequestWriter.Write(
            attempt.Dialect is ChatDialect ? attempt.Body : neutral, request, _messages with { LeavesOutThinking = origin.Length == 0 }, output);
    }

    public override AnswerRelay CreateRelay(Attempt attempt, RelayOptions answer) => new MessagesRelay(answer);
}
