using System.Buffers;
using System.Diagnostics;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat;

/// <summary>
/// Writes the events of one chat completion stream. Each call writes and ends exactly one event, <c>data: {…}</c> and a blank line.
/// What every chunk has in common is encoded once; a chunk without log probabilities allocates nothing. For one thread at a time.
/// </summary>
/// <remarks>
/// Order of a stream: the role of every choice, content, one finish per choice, usage if asked, done. No chunk ever has the key
/// <c>error</c>, which the official clients take for a failure even where its value is null.
/// </remarks>
public sealed class ChatChunkWriter
{
    private readonly byte[] _prefix;
    private readonly byte[] _end;

    /// <param name="id">Identifier of the completion, the same in every chunk.</param>
    /// <param name="created">Unix time in seconds, the same in every chunk.</param>
    /// <param name="model">Model that answers.</param>
    /// <param name="includeUsage">Whether chunks carry <c>"usage":null</c> because a usage chunk will follow.</param>
    /// <param name="serviceTier">Tier that the reply names, or null for no such key.</param>
    /// <param name="systemFingerprint">Identifies model and engine, for comparing seeds; null for no such key.</param>
    public ChatChunkWriter(string id, long created, string model, bool includeUsage, string? serviceTier, string? systemFingerprint = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(id);
        ArgumentException.ThrowIfNullOrEmpty(model);

        var prefix = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(prefix, "data: {\"id\":"u8);
        JsonText.WriteStringOrNull(prefix, id);
        JsonText.WriteRaw(prefix, ",\"object\":\"chat.completion.chunk\",\"created\":"u8);
        JsonText.WriteInteger(prefix, created);
        JsonText.WriteRaw(prefix, ",\"model\":"u8);
        JsonText.WriteStringOrNull(prefix, model);
        if (serviceTier is not null)
        {
            JsonText.WriteRaw(prefix, ",\"service_tier\":"u8);
            JsonText.WriteStringOrNull(prefix, serviceTier);
        }

        if (systemFingerprint is not null)
        {
            JsonText.WriteRaw(prefix, ",\"system_fingerprint\":"u8);
            JsonText.WriteStringOrNull(prefix, systemFingerprint);
        }

        JsonText.WriteRaw(prefix, ",\"choices\":["u8);
        _prefix = prefix.WrittenSpan.ToArray();
        _end = (includeUsage ? "}],\"usage\":null}\n\n"u8 : "}]}\n\n"u8).ToArray();
    }

    /// <summary>The first chunk of a choice: its role, and nothing else.</summary>
    /// <param name="output">Receives one event, as in every method here.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="logprobs">Whether log probabilities were asked for.</param>
    /// <param name="hasContent">False where the answer begins with something else than text; it may still have some later.</param>
    public void WriteRole(IEventOutput output, int choiceIndex, bool logprobs, bool hasContent = true)
    {
        Begin(output, choiceIndex, "{\"role\":\"assistant\",\"content\":"u8);
        JsonText.WriteRaw(output, hasContent ? "\"\""u8 : "null"u8);
        JsonText.WriteRaw(output, ",\"refusal\":null},\"logprobs\":"u8);
        JsonText.WriteRaw(output, logprobs ? "{\"content\":[],\"refusal\":null}"u8 : "null"u8);
        JsonText.WriteRaw(output, ",\"finish_reason\":null"u8);
        End(output, _end);
    }

    /// <summary>More text of a choice.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="utf8Text">Whole code points; what is not well-formed becomes U+FFFD.</param>
    /// <param name="logprobs">The tokens that ended in this text; may be empty.</param>
    /// <param name="hasLogprobs">Whether log probabilities were asked for; without it <paramref name="logprobs"/> is not read.</param>
    public void WriteContent(
        IEventOutput output,
        int choiceIndex,
        ReadOnlySpan<byte> utf8Text,
        ReadOnlySpan<DeltaLogprob> logprobs = default,
        bool hasLogprobs = false)
    {
        Begin(output, choiceIndex, "{\"content\":\""u8);
        JsonText.WriteEscaped(output, utf8Text);
        if (hasLogprobs)
        {
            JsonText.WriteRaw(output, "\"},\"logprobs\":{\"content\":["u8);
            LogprobText.Write(output, logprobs);
            JsonText.WriteRaw(output, "],\"refusal\":null},\"finish_reason\":null"u8);
        }
        else
        {
            JsonText.WriteRaw(output, "\"},\"logprobs\":null,\"finish_reason\":null"u8);
        }
        End(output, _end);
    }

    /// <summary>More reasoning of a choice, before its text.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="utf8Text">Whole code points; what is not well-formed becomes U+FFFD.</param>
    public void WriteReasoning(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> utf8Text)
    {
        Begin(output, choiceIndex, "{\"reasoning_content\":\""u8);
        JsonText.WriteEscaped(output, utf8Text);
        EndDelta(output, "\""u8);
    }

    /// <summary>More of a refusal.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="utf8Text">Whole code points; what is not well-formed becomes U+FFFD.</param>
    public void WriteRefusal(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> utf8Text)
    {
        Begin(output, choiceIndex, "{\"refusal\":\""u8);
        JsonText.WriteEscaped(output, utf8Text);
        EndDelta(output, "\""u8);
    }

    /// <summary>A delta that carries a list of the hub's own.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="name">Name of a member of <c>sluice</c>, which is an array.</param>
    /// <param name="elements">JSON with commas between the elements.</param>
    internal void WriteSluice(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> name, ReadOnlySpan<byte> elements)
    {
        Begin(output, choiceIndex, "{\"sluice\":{\""u8);
        JsonText.WriteRaw(output, name);
        JsonText.WriteRaw(output, "\":["u8);
        JsonText.WriteRaw(output, elements);
        EndDelta(output, "]}"u8);
    }

    /// <summary>The first chunk of a tool call: all but its arguments.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="callIndex">From 0 without gaps, for each choice.</param>
    /// <param name="id">What the result will refer to.</param>
    /// <param name="name">Name of the function.</param>
    public void WriteToolCall(IEventOutput output, int choiceIndex, int callIndex, string id, string name) =>
        WriteCallHead(output, choiceIndex, callIndex, id, ",\"type\":\"function\",\"function\":{\"name\":"u8, name, ",\"arguments\":\"\"}}]"u8);

    /// <summary>More of a tool call's arguments. Repeats neither id nor type nor name: some clients would join them.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="callIndex">The call's.</param>
    /// <param name="utf8Json">Text of the JSON that the arguments are, whole code points.</param>
    public void WriteToolArguments(IEventOutput output, int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) =>
        WriteCallPiece(output, choiceIndex, callIndex, ",\"function\":{\"arguments\":\""u8, utf8Json);

    /// <summary>The same with text that is escaped already.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="callIndex">The call's.</param>
    /// <param name="escaped">What is to stand between the quotation marks.</param>
    internal void WriteEscapedToolArguments(IEventOutput output, int choiceIndex, int callIndex, ReadOnlySpan<byte> escaped)
    {
        Begin(output, choiceIndex, "{\"tool_calls\":[{\"index\":"u8);
        JsonText.WriteInteger(output, callIndex);
        JsonText.WriteRaw(output, ",\"function\":{\"arguments\":\""u8);
        JsonText.WriteRaw(output, escaped);
        EndDelta(output, "\"}}]"u8);
    }

    /// <summary>The first chunk of a custom tool's call: all but its input.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="callIndex">From 0 without gaps, for each choice.</param>
    /// <param name="id">What the result will refer to.</param>
    /// <param name="name">Name of the tool.</param>
    public void WriteCustomCall(IEventOutput output, int choiceIndex, int callIndex, string id, string name) =>
        WriteCallHead(output, choiceIndex, callIndex, id, ",\"type\":\"custom\",\"custom\":{\"name\":"u8, name, ",\"input\":\"\"}}]"u8);

    /// <summary>More of a custom tool's input.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="callIndex">The call's.</param>
    /// <param name="utf8Text">Whole code points.</param>
    public void WriteCustomInput(IEventOutput output, int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Text) =>
        WriteCallPiece(output, choiceIndex, callIndex, ",\"custom\":{\"input\":\""u8, utf8Text);

    /// <summary>The first chunk of a function call, the older form of a tool call.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="name">Name of the function.</param>
    public void WriteFunctionCall(IEventOutput output, int choiceIndex, string name)
    {
        Begin(output, choiceIndex, "{\"function_call\":{\"name\":"u8);
        JsonText.WriteStringOrNull(output, name);
        EndDelta(output, ",\"arguments\":\"\"}"u8);
    }

    /// <summary>More of a function call's arguments.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="utf8Json">Text of the JSON that the arguments are, whole code points.</param>
    public void WriteFunctionArguments(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> utf8Json)
    {
        Begin(output, choiceIndex, "{\"function_call\":{\"arguments\":\""u8);
        JsonText.WriteEscaped(output, utf8Json);
        EndDelta(output, "\"}"u8);
    }

    /// <summary>The last chunk of a choice.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="finishReason">
    /// <c>stop</c>, <c>length</c>, <c>tool_calls</c>, <c>content_filter</c> or <c>function_call</c>: clients throw on any other.
    /// </param>
    public void WriteFinish(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> finishReason)
    {
        Debug.Assert(IsFinishReason(finishReason), "Not a finish reason of the API.");
        Begin(output, choiceIndex, "{},\"logprobs\":null,\"finish_reason\":\""u8);
        JsonText.WriteEscaped(output, finishReason);
        JsonText.WriteRaw(output, "\""u8);
        End(output, _end);
    }

    /// <summary>
    /// The last chunk of a choice that states no reason of its own: one that was stopped because somebody asked for it, or whose upstream
    /// ended the stream in order and gave none. It says so beside the reason.
    /// </summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="finishReason">As in <see cref="WriteFinish(IEventOutput, int, ReadOnlySpan{byte})"/>.</param>
    /// <param name="flag">Name of a member of <c>sluice</c>, which is true there.</param>
    public void WriteFlaggedFinish(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> finishReason, ReadOnlySpan<byte> flag) =>
        WriteFinish(output, choiceIndex, finishReason, flag, "true"u8);

    /// <summary>The last chunk of a choice with something beside its reason.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="finishReason">As in <see cref="WriteFinish(IEventOutput, int, ReadOnlySpan{byte})"/>.</param>
    /// <param name="name">Name of a member of <c>sluice</c>.</param>
    /// <param name="value">Its value: JSON on one line.</param>
    public void WriteFinish(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> finishReason, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        BeginMarkedFinish(output, choiceIndex, finishReason);
        JsonText.WriteRaw(output, "\""u8);
        JsonText.WriteRaw(output, name);
        JsonText.WriteRaw(output, "\":"u8);
        JsonText.WriteRaw(output, value);
        End(output, "}}\n\n"u8);
    }

    /// <summary>The last chunk of a choice that a budget has ended: <c>length</c>, and beside it whose budget.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="choiceIndex">0 to the number of choices - 1.</param>
    /// <param name="budget">The budget.</param>
    public void WriteBudgetFinish(IEventOutput output, int choiceIndex, BudgetMark budget)
    {
        BeginMarkedFinish(output, choiceIndex, "length"u8);
        Encoding.UTF8.GetBytes(budget.ToMembers(), output);
        End(output, "}}\n\n"u8);
    }

    private void BeginMarkedFinish(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> finishReason)
    {
        Begin(output, choiceIndex, "{},\"logprobs\":null,\"finish_reason\":\""u8);
        JsonText.WriteRaw(output, finishReason);
        JsonText.WriteRaw(output, "\""u8);
        JsonText.WriteRaw(output, _end.AsSpan()[..^"}\n\n"u8.Length]);
        JsonText.WriteRaw(output, ",\"sluice\":{"u8);
    }

    /// <summary>The last chunk of a choice that was stopped because somebody asked for it: clients know no reason but <c>stop</c> for that.</summary>
    public void WriteCancelled(IEventOutput output, int choiceIndex) => WriteFlaggedFinish(output, choiceIndex, "stop"u8, "cancelled"u8);

    /// <summary>The usage chunk: no choices, after every finish. Written whether or not chunks announce it.</summary>
    public void WriteUsage(IEventOutput output, in AnswerUsage usage)
    {
        BeginUsage(output, usage.PromptTokens, usage.CompletionTokens);
        JsonText.WriteRaw(output, ",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CachedTokens);
        JsonText.WriteRaw(output, ",\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":"u8);
        JsonText.WriteInteger(output, usage.ReasoningTokens);
        JsonText.WriteRaw(output, ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}"u8);
        if (usage.CacheWrittenTokens > 0)
        {
            // Some providers charge for it.
            JsonText.WriteRaw(output, ",\"sluice\":{\"cache_creation_input_tokens\":"u8);
            JsonText.WriteInteger(output, usage.CacheWrittenTokens);
            JsonText.WriteRaw(output, "}"u8);
        }
        End(output, "}\n\n"u8);
    }

    /// <summary>The usage chunk, with usage that an upstream has stated.</summary>
    /// <param name="output">Receives one event.</param>
    /// <param name="usage">A JSON object on one line.</param>
    public void WriteUsage(IEventOutput output, ReadOnlySpan<byte> usage)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonText.WriteRaw(output, _prefix);
        JsonText.WriteRaw(output, "],\"usage\":"u8);
        JsonText.WriteRaw(output, usage);
        End(output, "}\n\n"u8);
    }

    /// <summary>The usage chunk where nobody has counted: it says so.</summary>
    public void WriteEstimatedUsage(IEventOutput output, int promptTokens, int completionTokens)
    {
        BeginUsage(output, promptTokens, completionTokens);
        End(output, "},\"sluice\":{\"usage_estimated\":true}}\n\n"u8);
    }

    /// <summary>The end of a complete stream; clients compare it by equality.</summary>
    public static void WriteDone(IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonText.WriteRaw(output, "data: [DONE]\n\n"u8);
    }

    /// <summary>The end of a stream that failed, in place of finish, usage and done. <c>error</c> is the first and only key.</summary>
    public static void WriteError(IBufferWriter<byte> output, ApiError error)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(error);
        JsonText.WriteRaw(output, "data: "u8);
        error.WriteTo(output);
        JsonText.WriteRaw(output, "\n\n"u8);
    }

    /// <summary>A comment that keeps the connection from looking idle. Not an event.</summary>
    /// <param name="output">Receives the comment.</param>
    /// <param name="hasIds">Whether events have ids: after one, Python's SDK takes a blank line behind a comment for an event without data, and raises.</param>
    public static void WriteHeartbeat(IBufferWriter<byte> output, bool hasIds = false)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonText.WriteRaw(output, hasIds ? ": keep-alive\n"u8 : ": keep-alive\n\n"u8);
    }

    /// <summary>
    /// A comment at the place where another attempt goes on with an answer that broke off. It belongs to the event that follows it, for cursors
    /// count what clients see.
    /// </summary>
    /// <param name="output">Receives the comment.</param>
    /// <param name="method">In what way: a word.</param>
    public static void WriteRescue(IBufferWriter<byte> output, string method)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonText.WriteRaw(output, ": rescued by "u8);
        Encoding.ASCII.GetBytes(method, output);
        JsonText.WriteRaw(output, "\n\n"u8);
    }

    private static bool IsFinishReason(ReadOnlySpan<byte> value) =>
        value.SequenceEqual("stop"u8) || value.SequenceEqual("length"u8) || value.SequenceEqual("tool_calls"u8)
        || value.SequenceEqual("content_filter"u8) || value.SequenceEqual("function_call"u8);

    private void WriteCallHead(
        IEventOutput output, int choiceIndex, int callIndex, string id, ReadOnlySpan<byte> type, string name, ReadOnlySpan<byte> end)
    {
        Begin(output, choiceIndex, "{\"tool_calls\":[{\"index\":"u8);
        JsonText.WriteInteger(output, callIndex);
        JsonText.WriteRaw(output, ",\"id\":"u8);
        JsonText.WriteStringOrNull(output, id);
        JsonText.WriteRaw(output, type);
        JsonText.WriteStringOrNull(output, name);
        EndDelta(output, end);
    }

    private void WriteCallPiece(IEventOutput output, int choiceIndex, int callIndex, ReadOnlySpan<byte> member, ReadOnlySpan<byte> utf8Text)
    {
        Begin(output, choiceIndex, "{\"tool_calls\":[{\"index\":"u8);
        JsonText.WriteInteger(output, callIndex);
        JsonText.WriteRaw(output, member);
        JsonText.WriteEscaped(output, utf8Text);
        EndDelta(output, "\"}}]"u8);
    }

    // Without the last brace of usage.
    private void BeginUsage(IEventOutput output, int promptTokens, int completionTokens)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonText.WriteRaw(output, _prefix);
        JsonText.WriteRaw(output, "],\"usage\":{\"prompt_tokens\":"u8);
        JsonText.WriteInteger(output, promptTokens);
        JsonText.WriteRaw(output, ",\"completion_tokens\":"u8);
        JsonText.WriteInteger(output, completionTokens);
        JsonText.WriteRaw(output, ",\"total_tokens\":"u8);
        JsonText.WriteInteger(output, (long)promptTokens + completionTokens);
    }

    private void Begin(IEventOutput output, int choiceIndex, ReadOnlySpan<byte> delta)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentOutOfRangeException.ThrowIfNegative(choiceIndex);
        JsonText.WriteRaw(output, _prefix);
        JsonText.WriteRaw(output, "{\"index\":"u8);
        JsonText.WriteInteger(output, choiceIndex);
        JsonText.WriteRaw(output, ",\"delta\":"u8);
        JsonText.WriteRaw(output, delta);
    }

    private void EndDelta(IEventOutput output, ReadOnlySpan<byte> delta)
    {
        JsonText.WriteRaw(output, delta);
        JsonText.WriteRaw(output, "},\"logprobs\":null,\"finish_reason\":null"u8);
        End(output, _end);
    }

    private static void End(IEventOutput output, ReadOnlySpan<byte> end)
    {
        JsonText.WriteRaw(output, end);
        output.EndEvent();
    }
}
