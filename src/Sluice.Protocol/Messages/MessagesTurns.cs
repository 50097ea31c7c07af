using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Reads the conversation of a request: neighbours of one role are one turn, blocks that only Anthropic's servers can use are left out, and each
/// call has its result in the turn that follows.
/// </summary>
/// <param name="parameters">Of the request; gets the first fault.</param>
/// <param name="form">Who reads the conversation.</param>
internal sealed class MessagesTurns(ParameterReader parameters, NeutralForm form)
{
    // Claude Code's first block differs from conversation to conversation, and no two prompts would share what they begin with.
    private const string BillingHeader = "x-anthropic-billing-header:";

    private readonly MessagesBlocks _blocks = new(parameters, form);

    /// <summary>Instructions, joined; null where there are none.</summary>
    public string? System { get; private set; }

    /// <summary>The turns, none of them empty.</summary>
    public List<MessagesTurn> Turns { get; } = [];

    /// <summary>Reads <c>system</c> and <c>messages</c>.</summary>
    public void Read()
    {
        System = ReadSystem();
        if (parameters.Find("messages") is null) parameters.Fail(ApiErrors.MissingParameter("messages"));
        if (parameters.Find("messages", JsonValueKind.Array, "an array of objects") is not { } messages) return;
        var count = messages.GetArrayLength();
        if (count == 0) parameters.Fail(ApiErrors.EmptyArray("messages"));
        if (count > ProtocolLimits.MessagesMax) parameters.Fail(ApiErrors.ArrayTooLong("messages", ProtocolLimits.MessagesMax, count));
        for (var i = 0; i < count && parameters.Error is null; i++) ReadMessage(messages[i], i);
        if (parameters.Error is null && Turns.Count == 0) parameters.Fail(Invalid("messages", "messages: at least one message with content is required"));
        if (parameters.Error is null) CheckCalls();
    }

    /// <summary>The path of an element, as the API writes it: <c>messages.0</c>.</summary>
    public static string PathOf(string array, int index) => string.Create(CultureInfo.InvariantCulture, $"{array}.{index}");

    /// <summary>400 in the API's own words, which begin with the path.</summary>
    public static ApiError Invalid(string path, string message) => new(400, message, ApiErrors.InvalidRequestType, path, null);

    private string? ReadSystem()
    {
        if (parameters.Find("system") is not { } system) return null;
        if (system.ValueKind == JsonValueKind.String) return system.GetString() is { Length: > 0 } text ? text : null;
        if (system.ValueKind != JsonValueKind.Array)
        {
            parameters.Fail(ApiErrors.InvalidType("system", "one of a string or array of objects", ApiErrors.Describe(system)));
            return null;
        }
        var texts = new List<string>();
        for (var i = 0; i < system.GetArrayLength() && parameters.Error is null; i++)
        {
            if (ToolParameters.OpenObject(parameters, system[i], PathOf("system", i)) is not { } block) break;
            var text = block.RequireText("text");
            parameters.Fail(block.Error);
            if (i == 0 && text?.StartsWith(BillingHeader, StringComparison.Ordinal) == true) continue;
            if (text is { Length: > 0 }) texts.Add(text);
        }
        return texts.Count == 0 ? null : string.Join("\n\n", texts);
    }

    private void ReadMessage(JsonElement element, int index)
    {
        var path = PathOf("messages", index);
        if (ToolParameters.OpenObject(parameters, element, path) is not { } message) return;
        if (message.Find("role") is null) message.Fail(ApiErrors.MissingParameter(message.PathOf("role")));
        var role = message.Choice("role", ["user", "assistant", "system"]);
        if (message.Find("content") is null) message.Fail(ApiErrors.MissingParameter(message.PathOf("content")));
        var content = message.Find("content");
        parameters.Fail(message.Error);
        if (role is null || content is not { } value) return;
        var turn = new MessagesTurn(role, index);
        _blocks.Read(turn, value, message.PathOf("content"));
        if (parameters.Error is not null || turn.IsEmpty) return;
        if (Turns.Count > 0 && Turns[^1].Role == role) Turns[^1].Join(turn);
        else Turns.Add(turn);
    }

    private void CheckCalls()
    {
        for (var i = 0; i < Turns.Count; i++)
        {
            var (turn, next) = (Turns[i], i + 1 < Turns.Count ? Turns[i + 1] : null);
            var answered = next?.Results.Select(static result => result.Id).ToHashSet() ?? [];
            var open = turn.Calls.Select(static call => call.Id).Where(id => !answered.Contains(id)).ToList();
            if (open.Count > 0)
            {
                var path = PathOf("messages", turn.Index);
                parameters.Fail(Invalid(path, ApiErrors.Elide(
                    $"{path}: `tool_use` ids were found without `tool_result` blocks immediately after: {string.Join(", ", open)}. "
                    + "Each `tool_use` block must have a corresponding `tool_result` block in the next message.", 1_000)));
            }
            var called = i == 0 ? [] : Turns[i - 1].Calls.Select(static call => call.Id).ToHashSet();
            if (turn.Results.Find(result => !called.Contains(result.Id)) is { } orphan)
            {
                parameters.Fail(Invalid(orphan.Path, ApiErrors.Elide(
                    $"{orphan.Path}: unexpected `tool_use_id` found in `tool_result` blocks: {orphan.Id}. "
                    + "Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", 1_000)));
            }
        }
    }
}
