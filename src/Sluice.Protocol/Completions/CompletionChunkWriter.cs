using System.Buffers;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Completions;

/// <summary>
/// Writes what a model says as the events of a text completion: <c>data: {…}</c> and a blank line, each with the same <c>object</c> as the
/// whole answer. What every chunk has in common is encoded once; text without log probabilities allocates nothing.
/// </summary>
internal sealed class CompletionChunkWriter : DeltaWriter
{
    private readonly AnswerHead _head;
    private readonly byte[] _prefix;
    private readonly byte[] _end;

    // Characters of each choice so far, those of its prompt included; counted only with log probabilities.
    private readonly long[] _offsets;

    public CompletionChunkWriter(AnswerHead head)
    {
        _head = head;
        _offsets = new long[head.HasLogprobs ? head.ChoiceCount : 0];
        var prefix = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(prefix, "data: {\"id\":"u8);
        JsonText.WriteStringOrNull(prefix, head.Id);
        JsonText.WriteRaw(prefix, ",\"object\":\"text_completion\",\"created\":"u8);
        JsonText.WriteInteger(prefix, head.Created);
        JsonText.WriteRaw(prefix, ",\"model\":"u8);
        JsonText.WriteStringOrNull(prefix, head.Model);
        JsonText.WriteRaw(prefix, ",\"choices\":["u8);
        _prefix = prefix.WrittenSpan.ToArray();
        _end = (head.IncludesUsage ? "}],\"usage\":null"u8 : "}]"u8).ToArray();
    }

    // The first event is the first text.
    public override void Begin(IEventOutput output, bool isText)
    {
    }

    public override void Pass(int choice, ReadOnlySpan<byte> utf8)
    {
        if (_head.HasLogprobs) _offsets[choice] += CompletionLogprobs.CountCharacters(utf8);
    }

    public override void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs)
    {
        BeginChoice(output, choice);
        JsonText.WriteEscaped(output, utf8);
        JsonText.WriteRaw(output, "\",\"logprobs\":"u8);
        if (_head.HasLogprobs)
        {
            var start = _offsets[choice];
            Pass(choice, utf8);
            CompletionLogprobs.Write(output, logprobs, start, _offsets[choice]);
        }
        else
        {
            JsonText.WriteRaw(output, "null"u8);
        }

        JsonText.WriteRaw(output, ",\"finish_reason\":null"u8);
        End(output, default);
    }

    public override void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8) => throw OnlyText();

    public override void EndReasoning(IEventOutput output, int choice, ReasoningBlob blob) => throw OnlyText();

    public override void Call(IEventOutput output, int choice, int call, CallKind kind, string id, string name) => throw OnlyText();

    public override void Input(IEventOutput output, int choice, int call, CallKind kind, ReadOnlySpan<byte> utf8) => throw OnlyText();

    public override void Finish(IEventOutput output, int choice, AnswerFinish finish) => Finish(
        output,
        choice,
        finish.End switch { AnswerEnd.Length or AnswerEnd.Repetition => "length"u8, AnswerEnd.ContentFilter => "content_filter"u8, _ => "stop"u8 },
        finish.Budget is { } budget ? MembersOf(budget) : finish.IsDerived ? ",\"sluice\":{\"finish_derived\":true}"u8 : default);

    /// <summary>The last chunk of a choice that was stopped because somebody asked for it, or by a budget.</summary>
    public void Cancelled(IEventOutput output, int choice)
    {
        if (_head.Budget is { } budget) Finish(output, choice, "length"u8, MembersOf(budget));
        else Finish(output, choice, "stop"u8, ",\"sluice\":{\"cancelled\":true}"u8);
    }

    private static byte[] MembersOf(BudgetMark budget) => Encoding.UTF8.GetBytes($",\"sluice\":{{{budget.ToMembers()}}}");

    // No choices, after every finish.
    public override void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        if (!_head.IncludesUsage) return;
        JsonText.WriteRaw(output, _prefix);
        JsonText.WriteRaw(output, "],\"usage\":{\"prompt_tokens\":"u8);
        JsonText.WriteInteger(output, usage.PromptTokens);
        JsonText.WriteRaw(output, ",\"completion_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CompletionTokens);
        JsonText.WriteRaw(output, ",\"total_tokens\":"u8);
        JsonText.WriteInteger(output, usage.TotalTokens);
        if (isEstimated)
        {
            JsonText.WriteRaw(output, "},\"sluice\":{\"usage_estimated\":true}}\n\n"u8);
        }
        else
        {
            JsonText.WriteRaw(output, ",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
            JsonText.WriteInteger(output, usage.CachedTokens);
            JsonText.WriteRaw(output, "}}}\n\n"u8);
        }

        output.EndEvent();
    }

    private void Finish(IEventOutput output, int choice, ReadOnlySpan<byte> reason, ReadOnlySpan<byte> members)
    {
        BeginChoice(output, choice);
        JsonText.WriteRaw(output, "\",\"logprobs\":null,\"finish_reason\":\""u8);
        JsonText.WriteRaw(output, reason);
        JsonText.WriteRaw(output, "\""u8);
        End(output, members);
    }

    private void BeginChoice(IEventOutput output, int choice)
    {
        JsonText.WriteRaw(output, _prefix);
        JsonText.WriteRaw(output, "{\"index\":"u8);
        JsonText.WriteInteger(output, choice);
        JsonText.WriteRaw(output, ",\"text\":\""u8);
    }

    private void End(IEventOutput output, ReadOnlySpan<byte> members)
    {
        JsonText.WriteRaw(output, _end);
        JsonText.WriteRaw(output, members);
        JsonText.WriteRaw(output, "}\n\n"u8);
        output.EndEvent();
    }

    private static NotSupportedException OnlyText() => new("A text completion has only text.");
}
