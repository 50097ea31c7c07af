using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>The tool calls of one choice, and the older function call, joined from their fragments.</summary>
internal sealed class FoldedToolCalls
{
    private sealed class Call
    {
        public string? Id;
        public string? Type;
        public string Name = "";
        public bool IsCustom;
        // Arguments of a function, or the input of a custom tool.
        public StringBuilder Text { get; } = new();
        // What servers add: Gemini's signature, for one, without which it refuses the next request.
        public FoldedMembers Members { get; } = new(Pieces.Continued, "index", "id", "type", "function", "custom");
        public FoldedMembers CalledMembers { get; } = new(Pieces.Continued, "name", "arguments", "input");
    }

    private readonly SortedDictionary<int, Call> _calls = [];
    private Call? _function;

    public bool HasCalls => _calls.Count > 0 || _function is not null;

    public void Add(JsonElement delta)
    {
        if (delta.TryGetProperty("tool_calls"u8, out var fragments) && fragments.ValueKind == JsonValueKind.Array)
        {
            foreach (var fragment in fragments.EnumerateArray()) AddFragment(fragment);
        }
        if (delta.TryGetProperty("function_call"u8, out var function) && function.ValueKind == JsonValueKind.Object) AddFunction(_function ??= new Call(), function);
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        if (_calls.Count > 0)
        {
            JsonText.WriteRaw(output, ",\"tool_calls\":["u8);
            var isFirst = true;
            foreach (var call in _calls.Values)
            {
                if (!isFirst) JsonText.WriteRaw(output, ","u8);
                isFirst = false;
                JsonText.WriteRaw(output, "{\"id\":"u8);
                JsonText.WriteStringOrNull(output, call.Id);
                JsonText.WriteRaw(output, ",\"type\":"u8);
                JsonText.WriteStringOrNull(output, call.Type ?? (call.IsCustom ? "custom" : "function"));
                JsonText.WriteRaw(output, call.IsCustom ? ",\"custom\":"u8 : ",\"function\":"u8);
                if (call.IsCustom) WriteCustom(output, call);
                else WriteFunction(output, call);
                call.Members.WriteTo(output);
                JsonText.WriteRaw(output, "}"u8);
            }
            JsonText.WriteRaw(output, "]"u8);
        }
        if (_function is null) return;
        JsonText.WriteRaw(output, ",\"function_call\":"u8);
        WriteFunction(output, _function);
    }

    private void AddFragment(JsonElement fragment)
    {
        var index = fragment.GetProperty("index"u8).GetInt32();
        if ((uint)index >= ProtocolLimits.ToolCallsMax) throw new FormatException("A tool call's index is out of range.");
        if (!_calls.TryGetValue(index, out var call)) _calls.Add(index, call = new Call());
        call.Id ??= Text(fragment, "id"u8);
        call.Type ??= Text(fragment, "type"u8);
        call.Members.Add(fragment);
        if (fragment.TryGetProperty("function"u8, out var function) && function.ValueKind == JsonValueKind.Object) AddFunction(call, function);
        if (!fragment.TryGetProperty("custom"u8, out var custom) || custom.ValueKind != JsonValueKind.Object) return;
        call.IsCustom = true;
        call.CalledMembers.Add(custom);
        call.Name += Text(custom, "name"u8);
        call.Text.Append(Text(custom, "input"u8));
    }

    private static void AddFunction(Call call, JsonElement function)
    {
        call.CalledMembers.Add(function);
        call.Name += Text(function, "name"u8);
        call.Text.Append(Text(function, "arguments"u8));
    }

    // A call without arguments must still be JSON.
    private static void WriteFunction(IBufferWriter<byte> output, Call call)
    {
        JsonText.WriteRaw(output, "{\"name\":"u8);
        JsonText.WriteStringOrNull(output, call.Name);
        JsonText.WriteRaw(output, ",\"arguments\":"u8);
        JsonText.WriteStringOrNull(output, call.Text.Length > 0 ? call.Text.ToString() : "{}");
        call.CalledMembers.WriteTo(output);
        JsonText.WriteRaw(output, "}"u8);
    }

    private static void WriteCustom(IBufferWriter<byte> output, Call call)
    {
        JsonText.WriteRaw(output, "{\"name\":"u8);
        JsonText.WriteStringOrNull(output, call.Name);
        JsonText.WriteRaw(output, ",\"input\":"u8);
        JsonText.WriteStringOrNull(output, call.Text.ToString());
        call.CalledMembers.WriteTo(output);
        JsonText.WriteRaw(output, "}"u8);
    }

    private static string? Text(JsonElement element, ReadOnlySpan<byte> name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? JsonStrings.Read(value) : null;
}
