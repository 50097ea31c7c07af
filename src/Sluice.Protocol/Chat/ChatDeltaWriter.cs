using Sluice.Protocol.Answers;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat;

/// <summary>Writes what a model says as chunks.</summary>
internal sealed class ChatDeltaWriter(AnswerHead head) : DeltaWriter
{
    private readonly ChatChunkWriter _chunks = new(head.Id, head.Created, head.Model, head.IncludesUsage, head.ServiceTier);

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

    public override void Finish(IEventOutput output, int choice, AnswerEnd end) => _chunks.WriteFinish(output, choice, end switch
    {
        AnswerEnd.Length => "length"u8,
        AnswerEnd.ToolCalls => head.UsesFunctions ? "function_call"u8 : "tool_calls"u8,
        AnswerEnd.ContentFilter => "content_filter"u8,
        _ => "stop"u8,
    });

    public override void Usage(IEventOutput output, in AnswerUsage usage)
    {
        if (head.IncludesUsage) _chunks.WriteUsage(output, usage);
    }
}
