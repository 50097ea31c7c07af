using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <content>One element of a frame's <c>choices</c>. A chunk carries one choice, and of it a role, content, one tool call fragment, or the end.</content>
public sealed partial class ChunkNormalizer
{
    // True when there was content, or an end.
    private bool AddChoice(ReadOnlySpan<byte> json, int choices, int element, IEventOutput output)
    {
        _choice.Read(json, _elements[element].Start);
        var error = _choice.Find(json, "error"u8);
        if (error >= 0 && UpstreamError.IsError(_choice.Value(json, error)))
        {
            Fail(UpstreamError.ReadEvent(_choice.Value(json, error)));
            return false;
        }
        _choice.Drop(error);
        var index = _choice.Integer(json, _choice.Find(json, "index"u8));
        if (index is null)
        {
            index = 0;
            _choice.Set(_choice.Find(json, "index"u8), "\"index\""u8.ToArray(), "0"u8.ToArray());
        }
        // Clients fail on a choice that they did not ask for.
        if (index < 0 || index >= _choices.Length) return false;
        TakeChoiceUsage(json);

        var finishMember = _choice.Find(json, "finish_reason"u8);
        var finish = _choice.Text(json, finishMember);
        if (FinishReasons.IsNone(finish)) finish = null;
        if (finish is not null && FinishReasons.IsFailure(finish))
        {
            Fail(ApiErrors.ServerError($"The upstream broke its answer off: {ApiErrors.Elide(finish)}.") with { Status = 502 });
            return false;
        }

        var delta = _choice.Find(json, "delta"u8);
        var hasDelta = _choice.TypeOf(delta) == JsonTokenType.StartObject;
        if (hasDelta) _delta.Read(json, _choice.ValueStart(delta));
        else _delta.Read("{}"u8, 0);
        if (!hasDelta && finish is null) return false;

        var state = _choices[(int)index] ??= new RelayedChoice(answer.Id, (int)index, CloseCall);
        var hasRole = TakeRole(json, state);
        var tools = _delta.Find(json, "tool_calls"u8);
        var toolCount = ReadToolCalls(json, tools);
        if (toolCount == 0) _delta.Drop(tools);
        var hasText = HasSubstanceBeside(json, tools);
        var hasContent = HasContent(json) || toolCount > 0;
        if (hasContent)
        {
            ContentCount++;
            state.HasContent = true;
        }
        var isContent = hasContent || finish is not null;
        if (isContent && !hasRole && !state.HasRole)
        {
            state.HasRole = true;
            // Of an answer that begins with something else than text the content is null there.
            Writer.WriteRole(output, (int)index, logprobs: false, !hasContent || _delta.Find(json, "content"u8) >= 0);
        }
        SetUsage(json);

        // The reason goes out with the end, for what follows it belongs to the answer. Until then it is null and nothing else.
        if (finishMember < 0 || (finish is not null ? hasText || toolCount > 0 : _choice.TypeOf(finishMember) != JsonTokenType.Null))
            _choice.Set(finishMember, s_finishName, s_null);
        if (toolCount > 0) WriteToolCalls(json, choices, delta, tools, toolCount, state, hasText, output);
        else if (finish is null ? IsWorthWriting(json, hasRole) : hasText) WriteChoice(json, choices, delta, output);
        else if (hasRole) Writer.WriteRole(output, (int)index, logprobs: false);
        if (finish is not null) HoldFinish(json, choices, delta, finishMember, finish, state, hasText || toolCount > 0);
        return isContent;
    }

    // Moonshot's place. Where usage belongs it goes out at the end, and here it would be there twice.
    private void TakeChoiceUsage(ReadOnlySpan<byte> json)
    {
        var usage = _choice.Find(json, "usage"u8);
        if (usage < 0) return;
        if (_choice.TypeOf(usage) == JsonTokenType.StartObject) _usage.Read(json, _choice.ValueStart(usage));
        _choice.Drop(usage);
    }

    // The first role of the choice is passed, every other dropped. Whether this delta keeps it.
    private bool TakeRole(ReadOnlySpan<byte> json, RelayedChoice state)
    {
        var role = _delta.Find(json, "role"u8);
        if (role < 0) return false;
        var isRole = _delta.TypeOf(role) == JsonTokenType.String && _delta.Value(json, role).SequenceEqual("\"assistant\""u8);
        if (isRole && !state.HasRole) return state.HasRole = true;
        _delta.Drop(role);
        return false;
    }

    // One object in place of a list is a list of one.
    private int ReadToolCalls(ReadOnlySpan<byte> json, int tools)
    {
        switch (_delta.TypeOf(tools))
        {
            case JsonTokenType.StartArray:
                _toolCalls.Read(json, _delta.ValueStart(tools));
                return _toolCalls.Count;
            case JsonTokenType.StartObject when _delta.HasSubstance(tools):
                _toolCalls.ReadOne(_delta.ValueStart(tools), _delta.ValueStart(tools) + _delta.Value(json, tools).Length, JsonTokenType.StartObject);
                return 1;
            default:
                return 0;
        }
    }

    private bool HasSubstanceBeside(ReadOnlySpan<byte> json, int tools)
    {
        for (var i = 0; i < _delta.Count; i++)
        {
            if (i != tools && _delta.HasSubstance(i) && !_delta.IsNamed(json, i, "role"u8)) return true;
        }
        return false;
    }

    private bool HasContent(ReadOnlySpan<byte> json)
    {
        var hasContent = false;
        for (var i = 0; i < _delta.Count; i++)
        {
            if (!_delta.HasSubstance(i) || _delta.IsNamed(json, i, "role"u8)) continue;
            var isText = _delta.IsNamed(json, i, "content"u8) || _delta.IsNamed(json, i, "reasoning_content"u8) || _delta.IsNamed(json, i, "reasoning"u8)
                || _delta.IsNamed(json, i, "refusal"u8) || _delta.IsNamed(json, i, "tool_calls"u8) || _delta.IsNamed(json, i, "function_call"u8);
            if (isText) ContentBytes += _delta.Value(json, i).Length - 2;
            // Whatever a model says or thinks in is a sign of life.
            hasContent = true;
        }
        return hasContent;
    }

    private void SetUsage(ReadOnlySpan<byte> json)
    {
        var usage = _root.Find(json, "usage"u8);
        if (usage < 0) return;
        if (!answer.IncludesUsage) _root.Drop(usage);
        else if (_root.TypeOf(usage) != JsonTokenType.Null) _root.Set(usage, default, s_null);
    }

    // An empty delta says nothing, unless something stands beside it.
    private bool IsWorthWriting(ReadOnlySpan<byte> json, bool hasRole)
    {
        if (hasRole) return true;
        if (_choice.HasSubstance(_choice.Find(json, "logprobs"u8))) return true;
        return _delta.IsEdited ? HasSubstanceBeside(json, -1) : _delta.Count > 0;
    }

    private void WriteToolCalls(ReadOnlySpan<byte> json, int choices, int delta, int tools, int count, RelayedChoice state, bool hasText, IEventOutput output)
    {
        var position = count > 1 ? 0 : (int?)null;
        var isList = _delta.TypeOf(tools) == JsonTokenType.StartArray;
        var isFirst = true;
        for (var i = 0; i < count; i++)
        {
            if (_toolCalls[i].Type != JsonTokenType.StartObject) continue;
            var entry = new ArrayBufferWriter<byte>();
            JsonText.WriteRaw(entry, "["u8);
            if (state.Tools.Write(json, _toolCalls[i].Start, position + i, entry) is not { } isEdited) continue;
            JsonText.WriteRaw(entry, "]"u8);
            var call = state.Tools.Last!.Index;
            var target = state.Order.Open(call, output);
            if (isFirst && hasText && !ReferenceEquals(target, output))
            {
                // Text does not wait for a call.
                _delta.Drop(tools);
                WriteChoice(json, choices, delta, output);
                isFirst = false;
            }
            if (isEdited || !isList || count > 1 || !isFirst) _delta.Set(tools, default, entry.WrittenMemory);
            // What stands beside the calls has gone out with the first of them.
            for (var member = 0; member < _delta.Count && !isFirst; member++)
            {
                if (member != tools) _delta.Drop(member);
            }
            WriteChoice(json, choices, delta, target);
            state.Order.Close(call, output);
            isFirst = false;
        }
        if (!isFirst || !hasText) return;
        _delta.Drop(tools);
        WriteChoice(json, choices, delta, output);
    }

    private void HoldFinish(
        ReadOnlySpan<byte> json, int choices, int delta, int finishMember, string finish, RelayedChoice state, bool wasSplit)
    {
        state.Finish.Clear();
        if (finish == "stop" && state.Tools.Count > 0 && !answer.HasForcedTool) _choice.Set(finishMember, s_finishName, FinishReasons.ToolCalls);
        else if (!FinishReasons.IsKnown(finish)) _choice.Set(finishMember, s_finishName, FinishReasons.Translate(finish));
        else _choice.Restore(finishMember);
        var logprobs = _choice.Find(json, "logprobs"u8);
        if (wasSplit && logprobs >= 0) _choice.Set(logprobs, default, s_null);
        var isEmpty = delta >= 0 && _choice.Value(json, delta).SequenceEqual(s_emptyObject);
        WriteChoice(json, choices, delta, state.Finish, isEmpty ? default : s_emptyObject);
    }

    // What is missing of a call that ends.
    private void CloseCall(int choice, RelayedCall call, IEventOutput output)
    {
        var rest = _choices[choice]!.Tools.Close(call, out var needsHead, out var id);
        if (needsHead) Writer.WriteToolCall(output, choice, call.Index, id, call.Name);
        if (!rest.IsEmpty) Writer.WriteEscapedToolArguments(output, choice, call.Index, rest);
    }

    private void WriteChoice(ReadOnlySpan<byte> json, int choices, int delta, IEventOutput output, ReadOnlyMemory<byte> newDelta = default)
    {
        if (newDelta.IsEmpty && _delta.IsEdited)
        {
            var edited = new ArrayBufferWriter<byte>();
            _delta.WriteTo(edited, json);
            newDelta = edited.WrittenMemory;
        }
        if (!newDelta.IsEmpty) _choice.Set(delta, s_deltaName, newDelta);
        if (_choice.IsEdited || _elements.Count > 1)
        {
            var array = new ArrayBufferWriter<byte>();
            JsonText.WriteRaw(array, "["u8);
            _choice.WriteTo(array, json);
            JsonText.WriteRaw(array, "]"u8);
            _root.Set(choices, default, array.WrittenMemory);
        }
        WriteRoot(output, json);
    }
}
