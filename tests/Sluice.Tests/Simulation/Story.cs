using System.Text.Json;

namespace Sluice.Tests.Simulation;

/// <summary>What an upstream does with one request.</summary>
internal enum UpstreamAct
{
    /// <summary>Answers.</summary>
    Answers,

    /// <summary>Takes no connection.</summary>
    Unreachable,

    /// <summary>429, or another status that says no.</summary>
    Refuses,

    /// <summary>Says nothing at all.</summary>
    Silent,

    /// <summary>An error as JSON with status 200.</summary>
    AnswersJson,

    /// <summary>The connection breaks.</summary>
    Breaks,

    /// <summary>Falls silent and stays so.</summary>
    Stalls,

    /// <summary>An error event.</summary>
    Fails,

    /// <summary>An event that is no JSON.</summary>
    Babbles,

    /// <summary>The end, in order, of an answer that is not at its end.</summary>
    Leaves,

    /// <summary>A whole answer without <c>[DONE]</c>.</summary>
    ForgetsDone,

    /// <summary>Nothing behind the finish reason, and no end.</summary>
    Lingers,
}

/// <summary>
/// One question and its answers, all of which are known: each piece of text names the story, the call of an upstream, the choice and its
/// place, so
/// whatever a client gets can be told from what it should have got.
/// </summary>
internal sealed class Story
{
    private readonly int _salt;
    private readonly Dictionary<ulong, int> _callsBySeed = [];

    public Story(int number, Random random, bool hasUpstreamFaults, bool? isStream = null, string? principal = null)
    {
        Number = number;
        _salt = random.Next();
        Principal = principal ?? $"key-{random.Next(3)}";
        IsRepeatable = random.Next(3) > 0;
        HasTools = random.Next(6) == 0;
        ChoiceCount = random.Next(6) == 0 ? 2 : 1;
        PieceCount = random.Next(8) switch { 0 => 0, 1 => 1, 7 => random.Next(20, 60), _ => random.Next(2, 16) };
        PadBytes = random.Next(12) == 0 ? random.Next(200, 2000) : 0;
        Model = random.Next(9) switch { 0 => "m6", 1 or 2 => SimWorld.LocalModel, _ => $"m{random.Next(1, 6)}" };
        IncludesUsage = random.Next(2) == 0;
        IsStream = isStream ?? random.Next(6) > 0;
        if (hasUpstreamFaults)
        {
            Acts = [.. Enumerable.Range(0, 6).Select(_ => random.Next(2) == 0 ? UpstreamAct.Answers : (UpstreamAct)random.Next((int)UpstreamAct.Lingers + 1))];
        }
        var body = $"{{\"model\":\"{Model}\",\"stream\":{(IsStream ? "true" : "false")},\"n\":{ChoiceCount},\"messages\":[{{\"role\":\"user\",\"content\":\"story {number}.\"}}]"
            + (IncludesUsage && IsStream ? ",\"stream_options\":{\"include_usage\":true}" : "") + "}";
        Body = System.Text.Encoding.UTF8.GetBytes(body);
    }

    public int Number { get; }

    public string Principal { get; }

    /// <summary>Whether each call gets the same answer.</summary>
    public bool IsRepeatable { get; }

    /// <summary>Whether the pieces are the arguments of a tool call.</summary>
    public bool HasTools { get; }

    public int ChoiceCount { get; }

    /// <summary>Pieces of text of each choice.</summary>
    public int PieceCount { get; }

    public int PadBytes { get; }

    public string Model { get; }

    public bool IsStream { get; }

    public bool IncludesUsage { get; }

    public byte[] Body { get; }

    /// <summary>By call; answers after the last.</summary>
    public IReadOnlyList<UpstreamAct> Acts { get; } = [];

    /// <summary>Calls of upstreams so far.</summary>
    public int CallCount { get; set; }

    /// <summary>Calls of the hub's own engine so far, continuations included.</summary>
    public int EngineCallCount { get; set; }

    /// <summary>The engine says what follows from its seed: the number of the call that it had the seed in first.</summary>
    public int CallOf(ulong seed)
    {
        if (!_callsBySeed.TryGetValue(seed, out var call)) _callsBySeed.Add(seed, call = CallCount++);
        return call;
    }

    /// <summary>What its clients have said and done, which makes some replies right that would be wrong otherwise.</summary>
    public StoryFacts Facts { get; } = new();

    /// <summary>Connections whose reader the answer may have.</summary>
    public List<SimConnection> Connections { get; } = [];

    public string Piece(int call, int choice, int index)
    {
        var text = $"s{Number}c{(IsRepeatable ? 0 : call)}k{choice}i{index} ";
        if ((_salt + index) % 5 == 0) text += "ü\U0001F600\"\\\n";
        return PadBytes > 0 && index % 3 == 1 ? text + new string('x', PadBytes) : text;
    }

    public string Text(int call, int choice) => string.Concat(Enumerable.Range(0, PieceCount).Select(index => Piece(call, choice, index)));

    /// <summary>The events of an answer, without <c>[DONE]</c>.</summary>
    public IEnumerable<string> Frames(int call, bool withUsage)
    {
        for (var choice = 0; choice < ChoiceCount; choice++)
        {
            yield return Chunk($$"""{"index":{{choice}},"delta":{"role":"assistant","content":""},"finish_reason":null}""");
            if (HasTools) yield return Chunk($$$"""{"index":{{{choice}}},"delta":{"tool_calls":[{"index":0,"id":"call_{{{Number}}}","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}""");
        }
        for (var index = 0; index < PieceCount; index++)
        {
            for (var choice = 0; choice < ChoiceCount; choice++)
            {
                var text = $"\"{JsonEncodedText.Encode(Piece(call, choice, index))}\"";
                yield return Chunk(HasTools
                    ? $$$"""{"index":{{{choice}}},"delta":{"tool_calls":[{"index":0,"function":{"arguments":{{{text}}}}}]},"finish_reason":null}"""
                    : $$"""{"index":{{choice}},"delta":{"content":{{text}}},"finish_reason":null}""");
            }
        }
        for (var choice = 0; choice < ChoiceCount; choice++)
            yield return Chunk($$"""{"index":{{choice}},"delta":{},"finish_reason":"{{(HasTools ? "tool_calls" : "stop")}}"}""");
        if (withUsage) yield return Chunk("", $",\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{TokenCount},\"total_tokens\":{5 + TokenCount}}}");
    }

    public int TokenCount => PieceCount * ChoiceCount;

    /// <summary>Frames up to the last finish reason.</summary>
    public int FinishedAt => ChoiceCount * (HasTools ? 3 : 2) + TokenCount;

    private static string Chunk(string choice, string more = "") =>
        $$"""{"id":"up","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{{choice}}]{{more}}}""";
}

/// <summary>See <see cref="Story.Facts"/>.</summary>
internal sealed class StoryFacts
{
    public bool IsCancelled { get; set; }

    public bool IsDeleted { get; set; }

    /// <summary>Whether another request has used its key.</summary>
    public bool IsStolen { get; set; }

    /// <summary>Whether several requests may each have begun an answer under one key.</summary>
    public bool IsShared { get; set; }

    public string? Key { get; set; }

    /// <summary><c>cancel</c>, <c>continue</c> or null.</summary>
    public string? OnDisconnect { get; set; }

    /// <summary>Whether any client has bytes of any answer.</summary>
    public bool IsSeen { get; set; }

    /// <summary>Since when nobody is connected; null while somebody is, or was never.</summary>
    public TimeSpan? LeftAt { get; set; }
}
