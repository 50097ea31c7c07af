using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// Brings the fragments of one choice's tool calls into OpenAI's shape: indexes from 0 without gaps; id, type and name in the first
/// fragment of a call and only there; arguments always text.
/// </summary>
/// <param name="idPrefix">Begins the ids of calls that come without one.</param>
internal sealed class ToolCallNormalizer(string idPrefix)
{
    private sealed record Call(int Index, long? UpstreamIndex, string Id, string? Name);

    private static readonly byte[] s_emptyText = "\"\""u8.ToArray();
    private static readonly byte[] s_functionType = "\"function\""u8.ToArray();
    private static readonly byte[] s_customType = "\"custom\""u8.ToArray();
    private readonly List<Call> _calls = [];
    private readonly List<JsonExtent> _arguments = [];
    private readonly JsonObjectText _entry = new();
    private readonly JsonObjectText _function = new();
    private Call? _last;

    /// <summary>Calls so far.</summary>
    public int Count => _calls.Count;

    /// <summary>Index of the call that was written last; -1 before the first.</summary>
    public int LastIndex => _last?.Index ?? -1;

    /// <summary>Whether a call has all of its arguments. Of a call whose input is no JSON nobody can tell, and it is taken for whole.</summary>
    public bool IsComplete(int call) => _arguments[call].IsComplete;

    /// <summary>Writes one element of a delta's <c>tool_calls</c> as it should be.</summary>
    /// <param name="json">The frame.</param>
    /// <param name="start">Offset of the element.</param>
    /// <param name="position">Its position among its siblings; null when it has none.</param>
    /// <param name="output">Receives the element.</param>
    /// <returns>Null when it says nothing and is left out; otherwise whether it differs from what was read.</returns>
    public bool? Write(ReadOnlySpan<byte> json, int start, int? position, IBufferWriter<byte> output)
    {
        _entry.Read(json, start);
        var id = _entry.Text(json, _entry.Find(json, "id"u8));
        if (string.IsNullOrEmpty(id)) id = null;
        var function = _entry.Find(json, "function"u8);
        var hasFunction = _entry.TypeOf(function) == JsonTokenType.StartObject;
        if (hasFunction) _function.Read(json, _entry.ValueStart(function));
        var name = hasFunction ? _function.Text(json, _function.Find(json, "name"u8)) : null;
        if (string.IsNullOrEmpty(name)) name = null;
        var upstreamIndex = _entry.Integer(json, _entry.Find(json, "index"u8));

        var call = Find(id, upstreamIndex ?? position, name, hasFunction && ArgumentsBegin(json));
        var isHead = call is null;
        if (call is null)
        {
            if (!hasFunction && id is null && _entry.Find(json, "custom"u8) < 0) return null;
            call = new Call(_calls.Count, upstreamIndex ?? position, id ?? string.Create(CultureInfo.InvariantCulture, $"{idPrefix}_{_calls.Count}"), name);
            _calls.Add(call);
            _arguments.Add(default);
        }
        _last = call;
        SetIndex(json, upstreamIndex, call.Index);
        if (isHead) CompleteHead(json, id, call);
        else DropIdentity(json);
        // A name that comes late is sent when it comes; the first fragment had none.
        var isLateName = !isHead && call.Name is null && name is not null;
        if (isLateName) _calls[call.Index] = _last = call with { Name = name };
        Measure(json, call.Index, hasFunction);
        if (!EditFunction(json, function, hasFunction, isHead, keepsName: isHead || isLateName) && !isHead) return null;
        _entry.WriteTo(output, json);
        return _entry.IsEdited;
    }

    // By id; else by index, the latest call counting, for some upstreams give every call the index 0; else it goes on with the last.
    private Call? Find(string? id, long? upstreamIndex, string? name, bool argumentsBegin)
    {
        if (id is not null) return _calls.Find(call => call.Id == id);
        if (upstreamIndex is not null) return _calls.FindLast(call => call.UpstreamIndex == upstreamIndex);
        var isAnother = name is not null && _last?.Name is { } lastName && (lastName != name || argumentsBegin);
        return isAnother ? null : _last;
    }

    private bool ArgumentsBegin(ReadOnlySpan<byte> json)
    {
        var arguments = _function.Find(json, "arguments"u8);
        return _function.TypeOf(arguments) == JsonTokenType.StartObject
            || (_function.TypeOf(arguments) == JsonTokenType.String && _function.Value(json, arguments).StartsWith("\"{"u8));
    }

    private void Measure(ReadOnlySpan<byte> json, int call, bool hasFunction)
    {
        var extent = _arguments[call];
        var arguments = hasFunction ? _function.Find(json, "arguments"u8) : -1;
        if (_function.TypeOf(arguments) == JsonTokenType.String) extent.Add(_function.Value(json, arguments)[1..^1]);
        else if (_function.TypeOf(arguments) == JsonTokenType.StartObject || _entry.Find(json, "custom"u8) >= 0) extent.Complete();
        _arguments[call] = extent;
    }

    private void SetIndex(ReadOnlySpan<byte> json, long? upstreamIndex, int index)
    {
        if (upstreamIndex == index) return;
        var value = new ArrayBufferWriter<byte>();
        JsonText.WriteInteger(value, index);
        _entry.Set(_entry.Find(json, "index"u8), "\"index\""u8.ToArray(), value.WrittenMemory);
    }

    private void CompleteHead(ReadOnlySpan<byte> json, string? id, Call call)
    {
        if (id is null)
        {
            var value = new ArrayBufferWriter<byte>();
            JsonText.WriteStringOrNull(value, call.Id);
            _entry.Set(_entry.Find(json, "id"u8), "\"id\""u8.ToArray(), value.WrittenMemory);
        }
        var type = _entry.Find(json, "type"u8);
        if (!_entry.HasSubstance(type)) _entry.Set(type, "\"type\""u8.ToArray(), _entry.Find(json, "custom"u8) >= 0 ? s_customType : s_functionType);
    }

    private void DropIdentity(ReadOnlySpan<byte> json)
    {
        _entry.Drop(_entry.Find(json, "id"u8));
        _entry.Drop(_entry.Find(json, "type"u8));
    }

    // False when nothing of a function is left.
    private bool EditFunction(ReadOnlySpan<byte> json, int function, bool hasFunction, bool isHead, bool keepsName)
    {
        if (!hasFunction)
        {
            if (isHead && _entry.Find(json, "custom"u8) < 0) _entry.Set(function, "\"function\""u8.ToArray(), "{\"name\":\"\",\"arguments\":\"\"}"u8.ToArray());
            else if (function >= 0) _entry.Drop(function);
            return _entry.Find(json, "custom"u8) >= 0;
        }
        var name = _function.Find(json, "name"u8);
        if (!keepsName) _function.Drop(name);
        else if (_function.TypeOf(name) != JsonTokenType.String) _function.Set(name, "\"name\""u8.ToArray(), s_emptyText);

        var arguments = _function.Find(json, "arguments"u8);
        switch (_function.TypeOf(arguments))
        {
            case JsonTokenType.String:
                break;
            case JsonTokenType.StartObject:
                var text = new ArrayBufferWriter<byte>();
                JsonText.WriteRaw(text, "\""u8);
                JsonText.WriteEscaped(text, _function.Value(json, arguments));
                JsonText.WriteRaw(text, "\""u8);
                _function.Set(arguments, default, text.WrittenMemory);
                break;
            case JsonTokenType.None when !isHead && _function.Count <= 1:
                // A repetition of id and name, and nothing else.
                return false;
            default:
                _function.Set(arguments, "\"arguments\""u8.ToArray(), s_emptyText);
                break;
        }
        if (_function.IsEdited)
        {
            var edited = new ArrayBufferWriter<byte>();
            _function.WriteTo(edited, json);
            _entry.Set(function, default, edited.WrittenMemory);
        }
        return true;
    }
}
