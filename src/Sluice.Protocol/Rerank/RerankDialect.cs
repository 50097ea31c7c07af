using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Rerank;

/// <summary>How well documents fit a query, as Jina and Cohere have it, and servers of open models after them.</summary>
public sealed class RerankDialect : ObjectDialect
{
    private RerankDialect()
    {
    }

    /// <summary>The only one.</summary>
    public static RerankDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Name => "rerank";

    /// <inheritdoc/>
    public override string IdPrefix => "rerank-";

    /// <inheritdoc/>
    public override string Path => "/v1/rerank";

    /// <inheritdoc/>
    public override bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error)
    {
        if (!base.TryReadOutline(body, out outline, out error)) return false;
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        var root = new JsonObjectText();
        root.Read(body, 0);
        var documents = root.Find(body, "documents"u8);
        if (root.HasSubstance(documents)) outline = outline with { PromptBytes = root.Value(body, documents).Length };
        return true;
    }

    /// <inheritdoc/>
    public override ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output) =>
        TryReadOutline(body.Span, out var outline, out var error) ? ApiErrors.NotARerankModel(outline.Model) : error;

    /// <inheritdoc/>
    public override AnswerRelay CreateRelay(RelayOptions answer) => new ObjectRelay(answer, "results"u8.ToArray(), "scores");
}
