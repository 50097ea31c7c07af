using System.Buffers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Embeddings;

/// <summary>The object that the answer is.</summary>
internal sealed class ObjectFold : AnswerFold
{
    private readonly ArrayBufferWriter<byte> _json = new();
    private ApiError? _error;

    /// <inheritdoc/>
    public override ApiError? Error => _error;

    /// <inheritdoc/>
    public override void Add(ReadOnlySpan<byte> sseEvents) => JsonText.WriteRaw(_json, sseEvents);

    /// <inheritdoc/>
    public override void End()
    {
        if (_json.WrittenCount == 0) _error = ApiErrors.ServerError("The answer is empty.");
    }

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> output) => JsonText.WriteRaw(output, _json.WrittenSpan);

    /// <inheritdoc/>
    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers) => WriteTo(output);
}
