using System.Buffers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat;

/// <summary>Writes what a model says as chunks.</summary>
internal sealed class ChatDeltaWriter(AnswerHead head) : DeltaWriter
{
    private ChatChunkWriter _chunks = new(head.Id, head.Created, head.Model, head.IncludesUsage, head.ServiceTier);
    private List<(int Choice, ReasoningBlob Blob)>? _blobs;
    private bool _hasCalls;

    public override void SetModel(string model) => _chunks = new(head.Id, head.Created, model, head.IncludesUsage, head.ServiceTier);

    // All roles first, for some clients take a finish before another choice's role for the end.
    public override void Begin(IEventOutput output, bool isText)
    {
        for (var choice = 0; choice < head.ChoiceCount; choice++) _chunks.WriteRole(output, choice, head.HasLogprobs, isText);
    }

    public override void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs) =>
        _chunks.WriteContent(output, choice, utf8, logprobs, head.HasLogprobs);

    public override void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8) => _chunks.WriteReasoning(output, choice, utf8);

    public override void Call(IEventOutput output, int choice, int call, CallKind kind, string id, string name)
    {
        _hasCalls = true;
        if (head.UsesFunctions) _chunks.WriteFunctionCall(output, choice, name);
        else if (kind == CallKind.Custom) _chunks.WriteCustomCall(output, choice, call, id, name);
        else _chunks.WriteToolCall(output, choice, call, id, name);
    }

    public override void Input(IEventOutput output, int choice, int call, CallKind kind, ReadOnlySpan<byte> utf8)
    {
        if (kind == CallKind.Custom) _chunks.WriteCustomInput(output, choice, call, utf8);
        else if (head.UsesFunctions) _chunks.WriteFunctionArguments(output, choice, utf8);
        else _chunks.WriteToolArguments(output, choice, call, utf8);
    }

    public override void Refusal(IEventOutput output, int choice, ReadOnlySpan<byte> utf8) => _chunks.WriteRefusal(output, choice, utf8);

    // Given out before the end, and only with calls: without results of tools nobody wants reasoning back.
    public override void EndReasoning(IEventOutput output, int choice, ReasoningBlob blob) => (_blobs ??= []).Add((choice, blob));

    public override void Finish(IEventOutput output, int choice, AnswerFinish finish)
    {
        if (_hasCalls && _blobs is not null) WriteBlobs(output, choice);
        var reason = finish.End switch
        {
            AnswerEnd.Length or AnswerEnd.Repetition => "length"u8,
            AnswerEnd.ToolCalls => head.UsesFunctions ? "function_call"u8 : "tool_calls"u8,
            AnswerEnd.ContentFilter => "content_filter"u8,
            _ => "stop"u8,
        };
        if (finish.Budget is { } budget) _chunks.WriteBudgetFinish(output, choice, budget);
        else if (finish.End == AnswerEnd.Repetition) _chunks.WriteFlaggedFinish(output, choice, reason, "repetition"u8);
        else if (finish.IsDerived) _chunks.WriteFlaggedFinish(output, choice, reason, "finish_derived"u8);
        else if (!finish.Details.IsEmpty) _chunks.WriteFinish(output, choice, reason, "stop_details"u8, finish.Details.Span);
        else _chunks.WriteFinish(output, choice, reason);
    }

    public override void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        if (!head.IncludesUsage) return;
        if (isEstimated) _chunks.WriteEstimatedUsage(output, usage.PromptTokens, usage.CompletionTokens);
        else _chunks.WriteUsage(output, usage);
    }

    private void WriteBlobs(IEventOutput output, int choice)
    {
        var (thinking, sealedTexts) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        foreach (var (of, blob) in _blobs!)
        {
            if (of != choice) continue;
            // Anthropic's blocks go out as they are, and come back that way.
            if (blob.Origin.StartsWith(ReasoningOrigins.Messages, StringComparison.Ordinal))
            {
                if (thinking.WrittenCount > 0) JsonText.WriteRaw(thinking, ","u8);
                JsonText.WriteRaw(thinking, blob.Json.Span);
            }
            else if (head.Seal is { } seal)
            {
                if (sealedTexts.WrittenCount > 0) JsonText.WriteRaw(sealedTexts, ","u8);
                JsonText.WriteStringOrNull(sealedTexts, seal.Seal(blob));
            }
        }
        if (thinking.WrittenCount > 0) _chunks.WriteSluice(output, choice, "thinking"u8, thinking.WrittenSpan);
        if (sealedTexts.WrittenCount > 0) _chunks.WriteSluice(output, choice, "sealed"u8, sealedTexts.WrittenSpan);
    }
}
