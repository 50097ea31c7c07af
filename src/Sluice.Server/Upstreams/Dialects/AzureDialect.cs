using System.Buffers;
using System.Net.Http.Headers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;

namespace Sluice.Server.Upstreams.Dialects;

/// <summary>
/// OpenAI's API as Azure has it: the deployment stands in the path and the API's version in the query. On the surface that ends with
/// <see cref="UpstreamApi.AzureVersionedPath"/> both stand where OpenAI has them, or not at all.
/// </summary>
internal sealed class AzureDialect(UpstreamOptions options, string modelId) : UpstreamDialect
{
    private const string ResourcePath = "/openai";

    private readonly Uri _texts = CreateDeployed(options, "/completions");
    private readonly Uri _embeddings = CreateDeployed(options, "/embeddings");

    public override Uri Endpoint { get; } = CreateDeployed(options, "/chat/completions");

    public override Uri? FindNative(AnswerDialect door) => door switch
    {
        CompletionDialect => _texts,
        EmbeddingsDialect => _embeddings,
        _ => null,
    };

    public override Uri ModelsEndpoint { get; } = CreateEndpoint(options, "/models", "/models");

    public override string Provider => "azure.ai.openai";

    public override string Model { get; } = options.Deployment ?? modelId;

    public override void AddHeaders(HttpRequestHeaders headers)
    {
        if (options.ApiKey is { } key) headers.TryAddWithoutValidation("api-key", key);
    }

    public override ApiError? WriteBody(Attempt attempt, StreamWish wish, string origin, IBufferWriter<byte> output) =>
        WriteChatBody(attempt, wish, Model, options.MaxTokensParameter, output);

    public override AnswerRelay CreateRelay(Attempt attempt, RelayOptions answer) => CreateChatRelay(attempt, answer);

    private static Uri CreateDeployed(UpstreamOptions options, string path) =>
        CreateEndpoint(options, $"/deployments/{Uri.EscapeDataString(options.Deployment ?? "")}{path}", path);

    private static Uri CreateEndpoint(UpstreamOptions options, string path, string versionedPath)
    {
        var query = options.ApiVersion is { } version ? $"?api-version={Uri.EscapeDataString(version)}" : "";
        if (options.Url.EndsWith(UpstreamApi.AzureVersionedPath, StringComparison.Ordinal)) return new Uri($"{options.Url}{versionedPath}{query}");
        var resource = options.Url.EndsWith(ResourcePath, StringComparison.Ordinal) ? options.Url[..^ResourcePath.Length] : options.Url;
        return new Uri($"{resource}{ResourcePath}{path}{query}");
    }
}
