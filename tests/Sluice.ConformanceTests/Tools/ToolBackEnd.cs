using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.ConformanceTests.Tools;

/// <summary>A hub with one of <see cref="ToolBackEnds"/> behind it, which is told what to say.</summary>
public abstract class ToolBackEnd(ToolBackEnds who) : HubFixture
{
    public ToolBackEnds Who => who;

    /// <summary>Asks a case, streamed and not, and checks both answers.</summary>
    public async Task CheckAsync(ToolCallCase row)
    {
        var more = string.Join(",", ((string[])[row.Request, Prepare(row)]).Where(member => member.Length > 0));
        var refusal = row.RefusedBy.Where(refused => refused.Who.HasFlag(Who)).Select(refused => refused.Message).FirstOrDefault();
        if (refusal is not null)
        {
            foreach (var stream in (string[])["", "\"stream\":true"])
            {
                var error = await Client.RefuseAsync(Body(row, stream, more));
                Assert.Equal((400, "invalid_request_error"), (error.Status, error.Type));
                Assert.Contains(refusal, error.Message, StringComparison.Ordinal);
            }

            CheckAsked(row, isRefused: true);
            return;
        }

        using var streamed = await Client.SendAsync(Body(row, "\"stream\":true", more));
        var first = ToolAnswer.Read(Who, await ChatStream.ReadAsync(streamed));
        row.Check(first);
        using var whole = await Client.SendAsync(Body(row, "", more));
        var body = await whole.Content.ReadAsStringAsync();
        Assert.True(whole.IsSuccessStatusCode, body);
        var second = ToolAnswer.Read(Who, Harness.Json.Parse(body));
        row.Check(second);
        // F-03: a stream says what a whole answer says.
        Assert.Equal((first.Content, first.FinishReason), (second.Content, second.FinishReason));
        Assert.Equal(first.Calls.Select(call => (call.Name, call.Arguments)), second.Calls.Select(call => (call.Name, call.Arguments)));
        CheckAsked(row, isRefused: false);
    }

    /// <summary>Takes up what to say, and gives members that the request needs here.</summary>
    protected abstract string Prepare(ToolCallCase row);

    /// <summary>Checks what the model's server was asked.</summary>
    protected virtual void CheckAsked(ToolCallCase row, bool isRefused)
    {
    }

    protected abstract string Question(ToolCallCase row);

    private string Body(ToolCallCase row, string stream, string more)
    {
        var members = string.Concat(((string[])[more, stream]).Where(member => member.Length > 0).Select(member => "," + member));
        return $$"""{"model":{{ApiClient.Quote(Hub.Model)}},"messages":[{"role":"user","content":{{ApiClient.Quote(Question(row))}}}{{row.History}}]{{members}}}""";
    }
}

/// <summary>The real model.</summary>
public sealed class SmolLM2BackEnd() : ToolBackEnd(ToolBackEnds.SmolLM2)
{
    protected override Task<TestHub> StartAsync() => TestHub.StartDefaultModelAsync();

    protected override string Question(ToolCallCase row) => row.Question;

    protected override string Prepare(ToolCallCase row) =>
        "\"temperature\":0" + (row.ModelRequest.Length > 0 ? "," + row.ModelRequest : "") + (row.MaxTokens is null ? ",\"max_tokens\":120" : ",\"max_tokens\":4");
}

/// <summary>A scripted source of tokens with a template of some family.</summary>
public abstract class ScriptedBackEnd(ToolBackEnds who) : ToolBackEnd(who)
{
    protected override Task<TestHub> StartAsync() => ToolFormats.StartAsync(Who);

    protected override string Question(ToolCallCase row) => "call";

    protected override string Prepare(ToolCallCase row)
    {
        var text = ToolFormats.Write(Who, row.Says);
        Hub.Scripts["call"] = ToolFormats.Script(text);
        // The last message names the script, and of these conversations it is the result's.
        foreach (var content in (string[])["pong", "The result is: pong\n\ncall"]) Hub.Scripts[content] = new Script().Say(row.Says.Text);
        return row.MaxTokens is { } count ? $"\"max_tokens\":{count(text)}" : "\"max_tokens\":800";
    }
}

public sealed class HermesBackEnd() : ScriptedBackEnd(ToolBackEnds.Hermes);

public sealed class LlamaBackEnd() : ScriptedBackEnd(ToolBackEnds.Llama);

public sealed class MistralListBackEnd() : ScriptedBackEnd(ToolBackEnds.MistralList);

public sealed class MistralNamedBackEnd() : ScriptedBackEnd(ToolBackEnds.MistralNamed);

public sealed class GraniteBackEnd() : ScriptedBackEnd(ToolBackEnds.Granite);

public sealed class GenericBackEnd() : ScriptedBackEnd(ToolBackEnds.Generic);

/// <summary>A scripted server.</summary>
public abstract class UpstreamBackEnd(ToolBackEnds who, string kind) : ToolBackEnd(who)
{
    private Func<UpstreamReply, Task> _says = _ => Task.CompletedTask;
    private ScriptedUpstream? _upstream;
    private int _callCount;

    protected override async Task<TestHub> StartAsync()
    {
        _upstream = await ScriptedUpstream.StartAsync(reply => _says(reply));
        return await TestHub.StartConfiguredAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: {kind}, url: \"{_upstream.Url}\", api_key: sk-0123456789}}]\n");
    }

    protected abstract Func<UpstreamReply, Task> Answer(ToolCallCase row);

    protected abstract string? AskedOf(ToolCallCase row);

    protected override string Question(ToolCallCase row) => row.Question;

    protected override string Prepare(ToolCallCase row)
    {
        _says = Answer(row);
        _callCount = _upstream!.Calls.Count;
        return "";
    }

    protected override void CheckAsked(ToolCallCase row, bool isRefused)
    {
        var calls = _upstream!.Calls.Skip(_callCount).ToArray();
        Assert.Equal(isRefused ? 0 : 2, calls.Length);
        if (AskedOf(row) is { } asked) Assert.All(calls, call => Assert.Contains(asked, call.Body, StringComparison.Ordinal));
    }

    // In pieces, as servers send them; never within a character.
    protected static IEnumerable<string> Pieces(string text)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = int.Min(start + 6, text.Length);
            if (end < text.Length && char.IsLowSurrogate(text[end])) end++;
            yield return JsonEncodedText.Encode(text[start..end]).ToString();
            start = end;
        }
    }
}

public sealed class OpenAIBackEnd() : UpstreamBackEnd(ToolBackEnds.OpenAI, "openai")
{
    protected override string? AskedOf(ToolCallCase row) => row.Asked;

    /// <summary>An answer as OpenAI streams it.</summary>
    public static Func<UpstreamReply, Task> Say(SaidAnswer said) => ScriptedUpstream.Frames([.. Frames(said), ScriptedUpstream.Usage()]);

    protected override Func<UpstreamReply, Task> Answer(ToolCallCase row) =>
        row.Frames is { } frames ? ScriptedUpstream.Frames([.. frames, ScriptedUpstream.Usage()]) : Say(row.Obeyed ?? row.Says);

    private static IEnumerable<string> Frames(SaidAnswer said)
    {
        var hasText = said.Text.Length > 0;
        if (hasText) yield return ScriptedUpstream.Role();
        foreach (var piece in Pieces(said.Text)) yield return ScriptedUpstream.Text(piece);
        for (var i = 0; i < said.Calls.Length; i++)
        {
            var (name, arguments) = said.Calls[i];
            var role = i == 0 && !hasText ? "\"role\":\"assistant\",\"content\":null," : "";
            var (kind, text) = said.IsCustom ? ("custom", "input") : ("function", "arguments");
            yield return ToolFrames.Delta(said.IsFunction
                ? $$$"""{{{{role}}}"function_call":{"name":"{{{name}}}","arguments":""},"refusal":null}"""
                : $$$"""{{{{role}}}"tool_calls":[{"index":{{{i}}},"id":"call_up{{{i}}}","type":"{{{kind}}}","{{{kind}}}":{"name":"{{{name}}}","{{{text}}}":""} } ]{{{(role.Length > 0 ? ",\"refusal\":null" : "")}}}}""");
            foreach (var piece in Pieces(arguments))
            {
                yield return ToolFrames.Delta(said.IsFunction
                    ? $$$"""{"function_call":{"arguments":"{{{piece}}}"} }"""
                    : $$$"""{"tool_calls":[{"index":{{{i}}},"{{{kind}}}":{"{{{text}}}":"{{{piece}}}"} } ] }""");
            }
        }

        yield return ScriptedUpstream.Finish(said switch
        {
            { IsCut: true } => "length",
            { IsFunction: true } => "function_call",
            { Calls.Length: > 0 } => "tool_calls",
            _ => "stop",
        });
    }
}

public sealed class AnthropicBackEnd() : UpstreamBackEnd(ToolBackEnds.Anthropic, "anthropic")
{
    protected override string? AskedOf(ToolCallCase row) => row.AskedOfAnthropic;

    protected override Func<UpstreamReply, Task> Answer(ToolCallCase row) => Say(row.Obeyed ?? row.Says);

    /// <summary>An answer as Anthropic streams it.</summary>
    public static Func<UpstreamReply, Task> Say(SaidAnswer said)
    {
        var events = new List<string> { Start() };
        var index = 0;
        if (said.Text.Length > 0) events.AddRange(TextBlock(index++, [.. Pieces(said.Text)]));
        foreach (var (name, arguments) in said.Calls)
        {
            // A tool whose input is text is a function of one argument there.
            var json = said.IsCustom ? $"{{\"input\":\"{JsonEncodedText.Encode(arguments)}\"}}" : arguments;
            events.AddRange(ToolBlock(index, $"toolu_{index}", name, ["", .. Pieces(json)]));
            index++;
        }

        events.Add(Finish(said switch { { IsCut: true } => "max_tokens", { Calls.Length: > 0 } => "tool_use", _ => "end_turn" }));
        events.Add(Stop);
        return Events([.. events]);
    }
}
