namespace Sluice.Protocol.Responses.Upstream;

/// <summary>What an item of a response is to the hub.</summary>
internal enum ResponsesItemKind
{
    /// <summary>Something that no other dialect has.</summary>
    Other,

    /// <summary>Text and refusals.</summary>
    Message,

    /// <summary>Reasoning.</summary>
    Reasoning,

    /// <summary>A call of a function.</summary>
    Function,

    /// <summary>A call of a custom tool.</summary>
    Custom,
}

/// <summary>What a part of an item is.</summary>
internal enum ResponsesPart
{
    /// <summary>Text of a message.</summary>
    Text,

    /// <summary>A refusal.</summary>
    Refusal,

    /// <summary>A summary of reasoning.</summary>
    Summary,

    /// <summary>Reasoning itself.</summary>
    Thought,

    /// <summary>The input of a call.</summary>
    Input,
}

/// <summary>An item of a response that has not ended: how much of it has been passed on.</summary>
/// <param name="kind">What it is.</param>
internal sealed class ResponsesItem(ResponsesItemKind kind)
{
    private readonly Dictionary<(ResponsesPart, long), long> _lengths = [];

    public ResponsesItemKind Kind => kind;

    /// <summary>Whether anything has been passed on.</summary>
    public bool HasPieces => _lengths.Count > 0;

    /// <summary>Whether the head of the call has been passed on.</summary>
    public bool IsCallBegun { get; set; }

    /// <summary>UTF-8 bytes of a part that have been passed on; 0 for one that is new.</summary>
    public long LengthOf(ResponsesPart part, long index) => _lengths.GetValueOrDefault((part, index));

    /// <summary>More of a part has been passed on.</summary>
    public void Add(ResponsesPart part, long index, int bytes) => _lengths[(part, index)] = LengthOf(part, index) + bytes;

    /// <summary>Whether a part has been begun.</summary>
    public bool HasBegun(ResponsesPart part, long index) => _lengths.ContainsKey((part, index));

    /// <summary>By the item's type.</summary>
    public static ResponsesItemKind KindOf(string? type) => type switch
    {
        "message" => ResponsesItemKind.Message,
        "reasoning" => ResponsesItemKind.Reasoning,
        "function_call" => ResponsesItemKind.Function,
        "custom_tool_call" => ResponsesItemKind.Custom,
        _ => ResponsesItemKind.Other,
    };
}
