using System.Buffers;
using System.Net.Http.Headers;
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

    public override Uri Endpoint { get; } = new(options.Url + "/messages");

    public override Uri ModelsEndpoint { get; } = new(options.Url + "/models");

    public override string Provider => "anthropic";

    public override bool IsTranslated => true;

    public override string Model => _messages.Model;

    public override void AddHeaders(HttpRequestHeaders headers)
    {
        headers.TryAddWithoutValidation("anthropic-version", _version);
        if (options.ApiKey is { } key) headers.TryAddWithoutValidation("x-api-key", key);
    }

    public override ApiError? WriteBody(Attempt attempt, StreamWish wish, IBufferWriter<byte> output) =>
        attempt.Client.TryRead(out var request, out var error) ? MessagesRequestWriter.Write(attempt.Body, request, _messages, output) : error;

    public override MessagesStreamReader OpenTranslation() => new();
}
