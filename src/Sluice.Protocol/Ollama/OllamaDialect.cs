using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Ollama;

/// <summary>
/// Ollama's own API, which editors and home automation ask for: <c>/api/chat</c>, and <c>/api/generate</c> for one prompt. An event is a line
/// of JSON.
/// </summary>
public sealed class OllamaDialect : AnswerDialect
{
    private OllamaDialect(bool isGenerate) => IsGenerate = isGenerate;

    /// <summary>Conversations.</summary>
    public static OllamaDialect Chat { get; } = new(isGenerate: false);

    /// <summary>Prompts without a conversation.</summary>
    public static OllamaDialect Generate { get; } = new(isGenerate: true);

    /// <summary>Whether the request has a prompt in place of messages.</summary>
    public bool IsGenerate { get; }

    /// <inheritdoc/>
    public override string Name => IsGenerate ? "ollama-generate" : "ollama-chat";

    /// <inheritdoc/>
    public override string Operation => IsGenerate ? "text_completion" : "chat";

    /// <inheritdoc/>
    public override string IdPrefix => "ollama-";

    /// <inheritdoc/>
    public override string Path => IsGenerate ? "/api/generate" : "/api/chat";

    /// <inheritdoc/>
    public override string ObjectKind => Name;

    /// <inheritdoc/>
    public override string DeletedKind => Name + ".deleted";

    /// <inheritdoc/>
    public override string StreamContentType => "application/x-ndjson";

    /// <inheritdoc/>
    public override bool TakesAnyContentType => true;

    /// <inheritdoc/>
    public override bool WritesFromPast => true;

    /// <inheritdoc/>
    public override string? FindPlainName(string model) => OllamaNames.WithoutTag(model);

    /// <inheritdoc/>
    public override bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error) =>
        OllamaOutline.TryRead(body, out outline, out error);

    /// <inheritdoc/>
    public override ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output) =>
        OllamaNeutralWriter.Write(body, IsGenerate, form, output);

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte>? FindText(ReadOnlyMemory<byte> body) => IsGenerate ? OllamaText.Find(body) : null;

    /// <inheritdoc/>
    public override AnswerRelay CreateRelay(RelayOptions answer) => throw new NotSupportedException("No upstream speaks Ollama's own API to the hub.");

    /// <inheritdoc/>
    public override void WriteErrorBody(IBufferWriter<byte> output, ApiError error, string requestId) => WriteError(output, error);

    /// <inheritdoc/>
    public override AnswerFold CreateFold() => new OllamaFold(IsGenerate);

    /// <inheritdoc/>
    public override DeltaWriter CreateWriter(AnswerHead head) => new OllamaDeltaWriter(head, IsGenerate);

    /// <inheritdoc/>
    public override bool TryWriteStop(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(delivered);
        if (delivered.Count > 0 && OllamaLine.IsEnd(delivered[delivered.Count - 1])) return true;
        new OllamaDeltaWriter(head, IsGenerate) { IsCancelled = head.Budget is null }.Usage(output, usage, isEstimated);
        return true;
    }

    /// <inheritdoc/>
    public override DeliveredDeltas? ReadDelivered(EventBuffer events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var (text, count, model) = (new ArrayBufferWriter<byte>(), 0, "");
        for (var i = 0; i < events.Count; i++)
        {
            using var document = OllamaLine.Parse(events[i]);
            var line = document.RootElement;
            model = line.GetProperty("model"u8).GetString()!;
            if (OllamaLine.HasCalls(line)) return null;
            if (OllamaLine.TextOf(line, IsGenerate) is not { Length: > 0 } piece) continue;
            text.Write(Encoding.UTF8.GetBytes(piece));
            count++;
        }
        return new DeliveredDeltas(text.WrittenMemory, count, model, Created: 0);
    }

    /// <inheritdoc/>
    public override void WriteStreamed(ReadOnlySpan<byte> answerEvent, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        output.Write(answerEvent);
        output.EndEvent();
    }

    /// <inheritdoc/>
    public override void WriteEnd(IBufferWriter<byte> output)
    {
        // The last line says that it is the last.
    }

    /// <inheritdoc/>
    public override void WriteFailure(IBufferWriter<byte> output, StreamFailure failure)
    {
        WriteError(output, failure.Error);
        JsonText.WriteRaw(output, "\n"u8);
    }

    /// <inheritdoc/>
    /// <remarks>There are no comments between lines of JSON, but white space before an object says as little.</remarks>
    public override void WriteHeartbeat(IBufferWriter<byte> output, bool hasIds) => JsonText.WriteRaw(output, " "u8);

    /// <inheritdoc/>
    /// <remarks>A line has no id; a client that wants to go on counts them.</remarks>
    public override void WriteNumbered(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, EventBuffer events)
    {
        ArgumentNullException.ThrowIfNull(events);
        JsonText.WriteRaw(output, events.WrittenSpan);
    }

    internal static void WriteError(IBufferWriter<byte> output, ApiError error)
    {
        JsonText.WriteRaw(output, "{\"error\":"u8);
        // Its clients look for these words to offer a download.
        JsonText.WriteStringOrNull(output, error.Message);
        JsonText.WriteRaw(output, "}"u8);
    }
}
