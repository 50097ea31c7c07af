using System.Buffers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Embeddings;

/// <summary>OpenAI's embeddings.</summary>
public class EmbeddingsDialect : ObjectDialect
{
    private protected EmbeddingsDialect()
    {
    }

    /// <summary>OpenAI's own.</summary>
    public static EmbeddingsDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Name => "embeddings";

    /// <inheritdoc/>
    public override string Operation => "embeddings";

    /// <inheritdoc/>
    public override string IdPrefix => "embd-";

    /// <inheritdoc/>
    public override string Path => "/v1/embeddings";

    /// <inheritdoc/>
    public override ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output) =>
        TryReadOutline(body.Span, out var outline, out var error) ? ApiErrors.NotAnEmbeddingModel(outline.Model) : error;

    /// <inheritdoc/>
    public override AnswerRelay CreateRelay(RelayOptions answer) => new ObjectRelay(answer, "data"u8.ToArray(), "embeddings");
}
