using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Messages;

/// <summary>Reads the content of a message, block by block.</summary>
/// <param name="parameters">Of the request; gets the first fault.</param>
/// <param name="form">Who reads the conversation.</param>
internal sealed class MessagesBlocks(ParameterReader parameters, NeutralForm form)
{
    private const string Pdf = "application/pdf";

    /// <summary>Adds the content to a turn.</summary>
    /// <param name="turn">Of the message.</param>
    /// <param name="content">A string or blocks.</param>
    /// <param name="path">Where it stands.</param>
    public void Read(MessagesTurn turn, JsonElement content, string path)
    {
        if (ReadText(content) is { } whole)
        {
            if (whole.Length > 0) turn.Parts.Add(new MessagesPart(whole));
            return;
        }
        foreach (var (block, blockPath) in Open(content, path))
        {
            switch (block.RequireText("type"))
            {
                case "tool_use" when turn.Role == "assistant":
                    ReadCall(turn, block);
                    break;
                case "tool_result" when turn.Role == "user":
                    ReadResult(turn, block, blockPath);
                    break;
                case "thinking" when turn.Role == "assistant":
                    ReadThinking(turn, block);
                    break;
                case { } type:
                    ReadPart(turn.Parts, block, type);
                    break;
            }
            parameters.Fail(block.Error);
            if (parameters.Error is not null) return;
        }
    }

    private static string? ReadText(JsonElement content) => content.ValueKind == JsonValueKind.String ? content.GetString() : null;

    private IEnumerable<(ParameterReader Block, string Path)> Open(JsonElement content, string path)
    {
        if (content.ValueKind != JsonValueKind.Array)
        {
            parameters.Fail(ApiErrors.InvalidType(path, "one of a string or array of objects", ApiErrors.Describe(content)));
            yield break;
        }
        for (var i = 0; i < content.GetArrayLength(); i++)
        {
            var blockPath = MessagesTurns.PathOf(path, i);
            if (ToolParameters.OpenObject(parameters, content[i], blockPath) is not { } block) yield break;
            yield return (block, blockPath);
        }
    }

    // What only Anthropic's servers can use, and what a later version has, is left out: a conversation must go on elsewhere.
    private void ReadPart(List<MessagesPart> parts, ParameterReader block, string type)
    {
        switch (type)
        {
            case "text":
                if (block.RequireText("text") is { Length: > 0 } text) parts.Add(new MessagesPart(text));
                break;
            case "image":
                ReadImage(parts, block);
                break;
            case "document":
                ReadDocument(parts, block);
                break;
            case "search_result":
                ReadSearchResult(parts, block);
                break;
            case "compaction":
                // What came before is only in there.
                if (block.Find("content") is { ValueKind: JsonValueKind.String } summary && summary.GetString() is { Length: > 0 } words) parts.Add(new MessagesPart(words));
                break;
            case "tool_reference":
                if (block.Text("tool_name") is { Length: > 0 } tool) parts.Add(new MessagesPart(tool));
                break;
        }
    }

    private static void ReadImage(List<MessagesPart> parts, ParameterReader block)
    {
        if (OpenSource(block) is not { } source) return;
        switch (source.RequireText("type"))
        {
            case "base64":
                if (source.RequireText("media_type") is { } mediaType && source.RequireText("data") is { } data)
                    parts.Add(new MessagesPart(null, ImageUrl: $"data:{mediaType};base64,{data}"));
                break;
            case "url":
                if (source.RequireText("url") is { } url) parts.Add(new MessagesPart(null, ImageUrl: url));
                break;
            case { } type:
                source.Fail(ApiErrors.InvalidValue(source.PathOf("type"), type, "'base64' and 'url'"));
                break;
        }
        block.Fail(source.Error);
    }

    private void ReadDocument(List<MessagesPart> parts, ParameterReader block)
    {
        if (OpenSource(block) is not { } source) return;
        var title = block.Text("title");
        if (block.Text("context") is { Length: > 0 } context) title = title is null ? context : $"{title}\n{context}";
        switch (source.RequireText("type"))
        {
            case "text":
                if (source.RequireText("data") is { } text) parts.Add(new MessagesPart(title is null ? text : $"{title}\n\n{text}"));
                break;
            case "content" when source.Find("content") is { } content:
                if (title is not null) parts.Add(new MessagesPart(title));
                ReadParts(parts, content, source.PathOf("content"));
                break;
            case "base64":
                if (source.RequireText("media_type") is not { } mediaType || source.RequireText("data") is not { } data) break;
                if (mediaType == Pdf) parts.Add(new MessagesPart(null, FileData: $"data:{Pdf};base64,{data}", FileName: block.Text("title")));
                else source.Fail(ApiErrors.InvalidValue(source.PathOf("media_type"), mediaType, $"'{Pdf}'"));
                break;
            case { } type:
                source.Fail(ApiErrors.InvalidValue(source.PathOf("type"), type, "'base64', 'text', and 'content'"));
                break;
        }
        block.Fail(source.Error);
    }

    private void ReadSearchResult(List<MessagesPart> parts, ParameterReader block)
    {
        var head = string.Join('\n', ((string?[])[block.Text("title"), block.Text("source")]).Where(static text => !string.IsNullOrEmpty(text)));
        if (head.Length > 0) parts.Add(new MessagesPart(head));
        if (block.Find("content") is { } content) ReadParts(parts, content, block.PathOf("content"));
    }

    private static ParameterReader? OpenSource(ParameterReader block) =>
        block.Require("source", JsonValueKind.Object, "an object") is { } source ? new ParameterReader(source, block.PathOf("source")) : null;

    private void ReadParts(List<MessagesPart> parts, JsonElement content, string path)
    {
        if (ReadText(content) is { } whole)
        {
            if (whole.Length > 0) parts.Add(new MessagesPart(whole));
            return;
        }
        foreach (var (block, _) in Open(content, path))
        {
            if (block.RequireText("type") is { } type) ReadPart(parts, block, type);
            parameters.Fail(block.Error);
            if (parameters.Error is not null) return;
        }
    }

    private static void ReadCall(MessagesTurn turn, ParameterReader block)
    {
        var (id, name) = (block.RequireText("id"), block.RequireText("name"));
        if (block.Require("input", JsonValueKind.Object, "an object") is { } input && id is not null && name is not null)
            turn.Calls.Add(new MessagesCall(id, name, input.GetRawText()));
    }

    private void ReadResult(MessagesTurn turn, ParameterReader block, string path)
    {
        var id = block.RequireText("tool_use_id");
        var isError = block.Boolean("is_error") == true;
        var parts = new List<MessagesPart>();
        if (block.Find("content") is { } content) ReadParts(parts, content, block.PathOf("content"));
        // A model has to see that it failed.
        if (isError && parts.Count == 0) parts.Add(new MessagesPart("error"));
        if (id is not null) turn.Results.Add(new MessagesResult(id, path, parts));
    }

    // Only this hub's own reasoning comes back, and only to who made it: a signature of another would be refused there.
    private void ReadThinking(MessagesTurn turn, ParameterReader block)
    {
        if (form.Seal is null || !form.Seal.TryOpen(block.Text("signature"), out var blob)) return;
        if (blob.Origin.StartsWith(ReasoningOrigins.Chat, StringComparison.Ordinal)) turn.Reasoning.Append(ReadString(blob.Json));
        else if (blob.Origin != form.Origin) return;
        else if (blob.Origin.StartsWith(ReasoningOrigins.Messages, StringComparison.Ordinal)) turn.Thinking.Add(blob.Json);
        else if (blob.Origin.StartsWith(ReasoningOrigins.Responses, StringComparison.Ordinal)) turn.Items.Add(blob.Json);
    }

    private static string ReadString(ReadOnlyMemory<byte> json)
    {
        var reader = new Utf8JsonReader(json.Span);
        return reader.Read() && reader.TokenType == JsonTokenType.String ? reader.GetString()! : Encoding.UTF8.GetString(json.Span);
    }
}
