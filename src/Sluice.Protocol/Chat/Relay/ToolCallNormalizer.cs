using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// Brings the fragments of one choice's tool calls into OpenAI's shape: joined by index, as every SDK joins them, with indexes from 0 without
/// gaps; id, type and name in the first fragment of a call and only there; arguments always text. Work for a fragment does not grow with
/// the number of calls.
/// </summary>
/// <param name="idPrefix">Begins the ids of calls that come without one, or with that of another.</param>
internal sealed class ToolCallNormalizer(string idPrefix)
{
    private static readonly byte[] s_functionName = "\"function\""u8.ToArray();
    private static readonly byte[] s_customName = "\"custom\""u8.ToArray();
    private readonly List<RelayedCall> _calls = [];
    private readonly Dictionary<long, RelayedCall> _byIndex = [];
    private readonly Dictionary<string, RelayedCall> _byId = new(StringComparer.Ordinal);
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private readonly ArrayBufferWriter<byte> _escaped = new();
    private readonly JsonObjectText _entry = new();
    private readonly JsonObjectText _body = new();
    private RelayedCall? _last;

    /// <summary>Calls so far.</summary>
    public int Count => _calls.Count;

    /// <summary>The call of the last fragment; null before the first.</summary>
    public RelayedCall? Last => _last;

    public RelayedCall this[int index] => _calls[index];

    /// <summary>Writes one element of a delta's <c>tool_calls</c> as it should be.</summary>
    /// <param name="json">The frame.</param>
    /// <param name="start">Offset of the element.</param>
    /// <param name="position">Its position among its siblings; null when it has none.</param>
    /// <param name="output">Receives the element.</param>
    /// <returns>Null when nothing is to be said now; otherwise whether the element differs from what was read.</returns>
    public bool? Write(ReadOnlySpan<byte> json, int start, int? position, IBufferWriter<byte> output)
    {
        _entry.Read(json, start);
        var id = _entry.Text(json, _entry.Find(json, "id"u8));
        if (string.IsNullOrEmpty(id)) id = null;
        var custom = _entry.Find(json, "custom"u8);
        var isCustom = _entry.TypeOf(custom) == JsonTokenType.StartObject;
        var member = isCustom ? custom : _entry.Find(json, "function"u8);
        var hasBody = _entry.TypeOf(member) == JsonTokenType.StartObject;
        // Name and arguments may stand in the call itself.
        if (hasBody) _body.Read(json, _entry.ValueStart(member));
        else _body.Read(json, start);
        var name = _body.Text(json, _body.Find(json, "name"u8)) ?? "";
        var argumentsMember = FindArguments(json, isCustom);
        var arguments = ReadArguments(json, argumentsMember);
        var upstreamIndex = _entry.Integer(json, _entry.Find(json, "index"u8));

        var call = Find(id, upstreamIndex ?? position, name, arguments);
        if (call is null)
        {
            if (id is null && name.Length == 0 && arguments.IsEmpty && !hasBody) return null;
            _calls.Add(call = new RelayedCall(_calls.Count) { IsCustom = isCustom });
        }
        if ((upstreamIndex ?? position) is { } place) _byIndex[place] = call;
        if (id is not null && call.UpstreamId is null)
        {
            call.UpstreamId = id;
            _byId.TryAdd(id, call);
        }
        _last = call;
        var isHead = !call.IsBegun;
        if (isHead && name.Length == 0)
        {
            call.Add(arguments);
            JsonText.WriteRaw(call.Held, arguments);
            return null;
        }
        var wanted = TakeArguments(call, arguments);
        var newName = isHead ? name : NextName(call, name);
        if (!isHead && newName.Length == 0 && wanted.IsEmpty && !HasOther(json)) return null;
        SetIndex(json, upstreamIndex, call.Index);
        if (isHead) CompleteHead(json, id, call, isCustom);
        else DropIdentity(json);
        SetBody(json, member, hasBody, isCustom, isHead, newName, argumentsMember, wanted, arguments);
        call.Name += newName;
        call.IsBegun = true;
        _entry.WriteTo(output, json);
        return _entry.IsEdited;
    }

    /// <summary>What is missing at the end of a call.</summary>
    /// <param name="call">Ends now.</param>
    /// <param name="needsHead">Whether its head has not gone out: it never had a name.</param>
    /// <param name="id">What results refer to.</param>
    /// <returns>The arguments that are still to be sent, escaped; perhaps none.</returns>
    public ReadOnlySpan<byte> Close(RelayedCall call, out bool needsHead, out string id)
    {
        needsHead = !call.IsBegun;
        id = call.Id ??= NewId(call.UpstreamId, call.Index);
        (call.IsClosed, call.IsBegun) = (true, true);
        if (needsHead && call.Held.WrittenCount > 0) return call.Held.WrittenSpan;
        // Together the fragments of a call are JSON, also of one without arguments.
        return call.IsCustom || (call.HasArguments && !call.HasPlaceholder) ? default : "{}"u8;
    }

    // By index, as SDKs do; but some upstreams give all calls the index 0, and those are told from one another by what they bear.
    private RelayedCall? Find(string? id, long? place, string name, ReadOnlySpan<byte> arguments)
    {
        if (place is { } index)
        {
            if (!_byIndex.TryGetValue(index, out var call)) return null;
            if (!call.IsBegun || name.Length == 0 || call.IsRepetition(arguments)) return call;
            var isOther = id is not null && call.UpstreamId is not null && id != call.UpstreamId;
            if (!isOther && id is not null) return call;
            // Without an id of its own another call is known by a name and arguments that begin anew.
            if (id is null) return call.IsComplete && !call.HasPlaceholder && BeginsAnew(arguments) ? null : call;
            if (call.IsComplete) return null;
            return call.Name == name ? call : null;
        }
        if (id is not null) return _byId.GetValueOrDefault(id) ?? (_last is { UpstreamId: null, IsBegun: false } open ? open : null);
        if (_last is not { } last || name.Length == 0 || !last.IsBegun) return _last;
        return last.Name != name || (BeginsAnew(arguments) && last.HasArguments && !last.IsRepetition(arguments)) ? null : last;
    }

    private static bool BeginsAnew(ReadOnlySpan<byte> arguments) => arguments.StartsWith("{"u8);

    private int FindArguments(ReadOnlySpan<byte> json, bool isCustom) => _body.Find(json, isCustom ? "input"u8 : "arguments"u8);

    // Escaped, without quotation marks.
    private ReadOnlySpan<byte> ReadArguments(ReadOnlySpan<byte> json, int member)
    {
        switch (_body.TypeOf(member))
        {
            case JsonTokenType.String:
                return _body.Value(json, member)[1..^1];
            case JsonTokenType.StartObject or JsonTokenType.StartArray:
                _escaped.ResetWrittenCount();
                JsonText.WriteEscaped(_escaped, _body.Value(json, member));
                return _escaped.WrittenSpan;
            default:
                return default;
        }
    }

    // What of them is to be sent now. An empty object may only keep the place of arguments that follow.
    private static ReadOnlySpan<byte> TakeArguments(RelayedCall call, ReadOnlySpan<byte> arguments)
    {
        if (arguments.IsEmpty || call.IsRepetition(arguments)) return default;
        if (!call.IsCustom && !call.HasArguments && arguments.SequenceEqual("{}"u8))
        {
            call.HasPlaceholder = true;
            return default;
        }
        call.HasPlaceholder = false;
        call.Add(arguments);
        return arguments;
    }

    // A name may come in pieces; a repetition of it is none, and some upstreams send all of it so far.
    private static string NextName(RelayedCall call, string name)
    {
        if (name.Length == 0 || call.HasArguments || call.HasPlaceholder || name == call.Name) return "";
        return name.StartsWith(call.Name, StringComparison.Ordinal) ? name[call.Name.Length..] : name;
    }

    private bool HasOther(ReadOnlySpan<byte> json)
    {
        for (var i = 0; i < _entry.Count; i++)
        {
            if (!_entry.HasSubstance(i)) continue;
            var isKnown = _entry.IsNamed(json, i, "index"u8) || _entry.IsNamed(json, i, "id"u8) || _entry.IsNamed(json, i, "type"u8)
                || _entry.IsNamed(json, i, "function"u8) || _entry.IsNamed(json, i, "custom"u8) || _entry.IsNamed(json, i, "name"u8)
                || _entry.IsNamed(json, i, "arguments"u8);
            if (!isKnown) return true;
        }
        return false;
    }

    private void SetIndex(ReadOnlySpan<byte> json, long? upstreamIndex, int index)
    {
        if (upstreamIndex == index) return;
        var value = new ArrayBufferWriter<byte>();
        JsonText.WriteInteger(value, index);
        _entry.Set(_entry.Find(json, "index"u8), "\"index\""u8.ToArray(), value.WrittenMemory);
    }

    private void CompleteHead(ReadOnlySpan<byte> json, string? id, RelayedCall call, bool isCustom)
    {
        call.Id ??= NewId(call.UpstreamId, call.Index);
        if (call.Id != id)
        {
            var value = new ArrayBufferWriter<byte>();
            JsonText.WriteStringOrNull(value, call.Id);
            _entry.Set(_entry.Find(json, "id"u8), "\"id\""u8.ToArray(), value.WrittenMemory);
        }
        var type = _entry.Find(json, "type"u8);
        if (!_entry.HasSubstance(type)) _entry.Set(type, "\"type\""u8.ToArray(), isCustom ? s_customName : s_functionName);
    }

    // Ids are unique in an answer: the results of calls refer to them.
    private string NewId(string? upstreamId, int index)
    {
        if (upstreamId is not null && _ids.Add(upstreamId)) return upstreamId;
        var id = string.Create(CultureInfo.InvariantCulture, $"{idPrefix}_{index}");
        _ids.Add(id);
        return id;
    }

    private void DropIdentity(ReadOnlySpan<byte> json)
    {
        _entry.Drop(_entry.Find(json, "id"u8));
        _entry.Drop(_entry.Find(json, "type"u8));
    }

    private void SetBody(
        ReadOnlySpan<byte> json, int member, bool hasBody, bool isCustom, bool isHead, string name, int argumentsMember, ReadOnlySpan<byte> wanted,
        ReadOnlySpan<byte> came)
    {
        var held = isHead ? _last!.Held.WrittenSpan : default;
        if (!hasBody)
        {
            _entry.Drop(_body.Find(json, "name"u8));
            _entry.Drop(argumentsMember);
            if (member >= 0) _entry.Drop(member);
            if (isHead || name.Length > 0 || !wanted.IsEmpty) _entry.Set(-1, s_functionName, WriteBody(isHead, name, held, wanted));
            return;
        }
        if (!isHead && name.Length == 0 && wanted.IsEmpty)
        {
            _entry.Drop(member);
            return;
        }
        var nameMember = _body.Find(json, "name"u8);
        if (!isHead && name.Length == 0) _body.Drop(nameMember);
        else if (_body.Text(json, nameMember) != name) _body.Set(nameMember, "\"name\""u8.ToArray(), Quote(name));
        var isText = _body.TypeOf(argumentsMember) == JsonTokenType.String;
        var isSame = isText && held.IsEmpty && wanted.Length == came.Length;
        if (!isSame && (isHead || isText || !wanted.IsEmpty))
            _body.Set(argumentsMember, isCustom ? "\"input\""u8.ToArray() : "\"arguments\""u8.ToArray(), QuoteEscaped(held, wanted));
        if (!_body.IsEdited) return;
        var edited = new ArrayBufferWriter<byte>();
        _body.WriteTo(edited, json);
        _entry.Set(member, default, edited.WrittenMemory);
    }

    private static ReadOnlyMemory<byte> WriteBody(bool isHead, string name, ReadOnlySpan<byte> held, ReadOnlySpan<byte> wanted)
    {
        var body = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(body, "{"u8);
        if (isHead || name.Length > 0)
        {
            JsonText.WriteRaw(body, "\"name\":"u8);
            JsonText.WriteStringOrNull(body, name);
            JsonText.WriteRaw(body, ","u8);
        }
        JsonText.WriteRaw(body, "\"arguments\":"u8);
        JsonText.WriteRaw(body, QuoteEscaped(held, wanted).Span);
        JsonText.WriteRaw(body, "}"u8);
        return body.WrittenMemory;
    }

    private static ReadOnlyMemory<byte> Quote(string text)
    {
        var value = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(value, text);
        return value.WrittenMemory;
    }

    private static ReadOnlyMemory<byte> QuoteEscaped(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        var value = new ArrayBufferWriter<byte>(first.Length + second.Length + 2);
        JsonText.WriteRaw(value, "\""u8);
        JsonText.WriteRaw(value, first);
        JsonText.WriteRaw(value, second);
        JsonText.WriteRaw(value, "\""u8);
        return value.WrittenMemory;
    }
}
