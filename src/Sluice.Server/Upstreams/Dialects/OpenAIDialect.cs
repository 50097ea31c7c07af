using System.Buffers;
using System.Net.Http.Headers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Rerank;
using Sluice.Server.Configuration;

namespace Sluice.Server.Upstreams.Dialects;

/// <summary>OpenAI's API, which most servers speak.</summary>
internal sealed class OpenAIDialect(UpstreamOptions options, string modelId) : UpstreamDialect
{
    private readonly Uri _texts = new(options.Url + "/completions");
    private readonly Uri _embeddings = new(options.Url + "/embeddings");
    private readonly Uri _rerank = new(options.Url + "/rerank");

    public override Uri Endpoint { get; } = new(options.Url + "/chat/completions");

    public override Uri? FindNative(AnswerDialect door) => door switch
    {
        CompletionDialect => _texts,
        EmbeddingsDialect => _embeddings,
        RerankDialect => _rerank,
        _ => null,
    };

    public override Uri ModelsEndpoint { get; } = new(options.Url + "/models");

    public override string Provider => "openai";

    public override string Model { get; } = options.Model ?? modelId;

    public override void AddHeaders(HttpRequestHeaders headers)
    {
        if (options.ApiKey is { } key) headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    public override ApiError? WriteBody(Attempt attempt, StreamWish wish, string origin, IBufferWriter<byte> output) =>
        WriteChatBody(attempt, wish, Model, options.MaxTokensParameter, output);

    public override AnswerRelay CreateRelay(Attempt attempt, RelayOptions answer) => CreateChatRelay(attempt, answer);
}
