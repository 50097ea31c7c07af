using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses;

/// <summary>What a tool of a Responses request is.</summary>
internal enum ResponsesToolKind
{
    /// <summary>Arguments are JSON.</summary>
    Function,

    /// <summary>The input is text.</summary>
    Custom,

    /// <summary>The client looks for tools that it has not declared yet.</summary>
    Search,
}

/// <summary>A tool that a model can call.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Namespace">Where it was declared; null outside of one.</param>
/// <param name="Name">Its name there.</param>
/// <param name="Definition">The client's own JSON.</param>
internal sealed record ResponsesTool(ResponsesToolKind Kind, string? Namespace, string Name, JsonElement Definition);

/// <summary>
/// The tools of a Responses request under the flat names that other dialects know. A function of the request alone, so that the same history
/// always has the same names.
/// </summary>
internal sealed class ResponsesTools
{
    /// <summary>Name of the tool that looks for tools.</summary>
    public const string SearchName = "tool_search";

    private const int NameLengthMax = 64;
    private const int HashLength = 8;

    // There are two dozen types; whoever sends more learns of the first ones.
    private const int IgnoredMax = 64;

    private readonly Dictionary<string, ResponsesTool> _byName = new(StringComparer.Ordinal);
    private readonly List<(string FlatName, ResponsesTool Tool)> _tools = [];

    /// <param name="body">The request; what is not an object has no tools.</param>
    public ResponsesTools(JsonElement body)
    {
        if (body.TryGet("tools"u8, JsonValueKind.Array, out var tools)) AddAll(tools);
        if (!body.TryGet("input"u8, JsonValueKind.Array, out var input)) return;
        // Codex declares some in the conversation.
        foreach (var item in input.EnumerateArray())
        {
            if (!item.TryGet("type"u8, JsonValueKind.String, out var type)) continue;
            if (!type.ValueEquals("additional_tools"u8) && !type.ValueEquals("tool_search_output"u8)) continue;
            if (item.TryGet("tools"u8, JsonValueKind.Array, out var more)) AddAll(more);
        }
    }

    /// <summary>Those that can be called, in the order of their declaration.</summary>
    public IReadOnlyList<(string FlatName, ResponsesTool Tool)> All => _tools;

    /// <summary>Types of tools that only OpenAI's own servers run.</summary>
    public List<string> Ignored { get; } = [];

    /// <summary>The tool that a model calls by this name; null for one that nobody declared.</summary>
    public ResponsesTool? Find(string flatName) => _byName.GetValueOrDefault(flatName);

    /// <summary>The name under which a model knows a tool: within the characters and the length that all dialects allow.</summary>
    public static string Flatten(string? space, string name)
    {
        var whole = space is null ? name : $"{space}__{name}";
        var flat = string.Create(whole.Length, whole, static (span, text) =>
        {
            for (var i = 0; i < span.Length; i++) span[i] = char.IsAsciiLetterOrDigit(text[i]) || text[i] is '_' or '-' ? text[i] : '_';
        });
        if (flat.Length <= NameLengthMax && flat == whole) return flat;
        if (flat.Length <= NameLengthMax && space is null) return flat;
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(whole)))[..HashLength];
        return flat.Length <= NameLengthMax ? flat : $"{flat[..(NameLengthMax - HashLength - 1)]}_{hash}";
    }

    private void AddAll(JsonElement tools)
    {
        foreach (var tool in tools.EnumerateArray()) Add(tool, space: null);
    }

    private void Add(JsonElement tool, string? space)
    {
        if (!tool.TryGet("type"u8, JsonValueKind.String, out var typeMember)) return;
        var type = typeMember.GetString()!;
        var name = tool.TryGet("name"u8, JsonValueKind.String, out var named) ? named.GetString()! : "";
        switch (type)
        {
            case "function" when name.Length > 0:
                Add(new ResponsesTool(ResponsesToolKind.Function, space, name, tool));
                break;
            case "custom" when name.Length > 0:
                Add(new ResponsesTool(ResponsesToolKind.Custom, space, name, tool));
                break;
            case "namespace" when space is null && tool.TryGet("tools"u8, JsonValueKind.Array, out var inner):
                foreach (var member in inner.EnumerateArray()) Add(member, name);
                break;
            case "tool_search" when tool.TryGet("execution"u8, JsonValueKind.String, out var execution) && execution.ValueEquals("client"u8):
                Add(new ResponsesTool(ResponsesToolKind.Search, null, SearchName, tool));
                break;
            default:
                if (Ignored.Count < IgnoredMax && !Ignored.Contains(type)) Ignored.Add(type);
                break;
        }
    }

    // The first declaration of a name counts.
    private void Add(ResponsesTool tool)
    {
        var flat = Flatten(tool.Namespace, tool.Name);
        if (_byName.TryAdd(flat, tool)) _tools.Add((flat, tool));
    }
}
