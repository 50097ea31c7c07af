using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Messages;

/// <summary>Anthropic's events as chunks.</summary>
/// <param name="answer">What is known before the first event.</param>
public sealed class MessagesRelay(RelayOptions answer) : AnswerRelay
{
    private readonly MessagesStreamReader _reader = new();
    private readonly ChunkNormalizer _chunks = new(answer);

    /// <inheritdoc/>
    public override bool IsFinished => _chunks.IsFinished;

    /// <inheritdoc/>
    public override bool HasAnswer => _chunks.HasAnswer;

    /// <inheritdoc/>
    public override bool HasUsage => _chunks.HasUsage;

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var kind = _reader.Add(data, _chunks, output);
        ContentCount = _chunks.ContentCount;
        return kind == FrameKind.Failed ? Fail(_chunks.Error!) : kind;
    }

    /// <inheritdoc/>
    public override FrameKind AddWhole(ReadOnlySpan<byte> json, IEventOutput output) => Fail(
        new ApiError(502, "The upstream sent no event stream.", ApiErrors.ServerErrorType, null, "upstream_no_stream"));

    /// <inheritdoc/>
    public override void WriteEnd(IEventOutput output) => _chunks.WriteEnd(output);

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage() => _chunks.ReadUsage();
}
