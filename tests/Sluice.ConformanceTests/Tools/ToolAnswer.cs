using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Xunit;

namespace Sluice.ConformanceTests.Tools;

/// <summary>An answer as its reader has it in the end, streamed or not.</summary>
/// <param name="From">Who gave it.</param>
/// <param name="Content">Null where there is none.</param>
/// <param name="FinishReason">The reason.</param>
/// <param name="Calls">All calls, of either form and of custom tools.</param>
/// <param name="Stream">The stream; null of a whole answer.</param>
public sealed record ToolAnswer(ToolBackEnds From, string? Content, string FinishReason, IReadOnlyList<ToolCallStream.Call> Calls, ChatStream? Stream)
{
    public static ToolAnswer Read(ToolBackEnds from, ChatStream stream)
    {
        var function = FunctionCall(stream);
        var content = stream.Content();
        return new ToolAnswer(from, content.Length == 0 ? null : content, stream.FinishReason(), function is null ? stream.ToolCalls(isStrict: from != ToolBackEnds.OpenAI) : [function], stream);
    }

    public static ToolAnswer Read(ToolBackEnds from, JsonElement completion)
    {
        var choice = completion.GetProperty("choices")[0];
        var message = choice.GetProperty("message");
        IReadOnlyList<ToolCallStream.Call> calls = message.TryGetProperty("function_call", out var function)
            ? [new ToolCallStream.Call("", function.Text("name")!, function.Text("arguments")!, 0)]
            : completion.ToolCalls();
        Assert.True(calls.Count > 0 || !message.Has("tool_calls"), "An answer without calls has no list of them.");
        return new ToolAnswer(from, message.Text("content"), choice.Text("finish_reason")!, calls, null);
    }

    /// <summary>Checks that it is these calls and nothing else, and that it says so. Of the real model only the names are known.</summary>
    public void IsCalls(params (string Name, string Arguments)[] calls)
    {
        Assert.Null(Content);
        HasCalls(calls);
    }

    /// <summary>The same with text before the calls.</summary>
    public void HasCalls(params (string Name, string Arguments)[] calls)
    {
        Assert.Equal(calls.Select(call => call.Name), Calls.Select(call => call.Name));
        Assert.Equal("tool_calls", FinishReason);
        foreach (var (expected, call) in calls.Zip(Calls))
        {
            var arguments = Json.Parse(call.Arguments);
            Assert.Equal(JsonValueKind.Object, arguments.ValueKind);
            if (From == ToolBackEnds.SmolLM2) Assert.Equal(Json.Parse(expected.Arguments).Names(), arguments.Names());
            else Assert.True(JsonElement.DeepEquals(Json.Parse(expected.Arguments), arguments), call.Arguments);
        }
    }

    /// <summary>Checks that it is a text without any call.</summary>
    public void IsText(string text)
    {
        Assert.Empty(Calls);
        if (From == ToolBackEnds.SmolLM2) Assert.NotEqual("", Content ?? "");
        else Assert.Equal((text, "stop"), (Content, FinishReason));
    }

    private static ToolCallStream.Call? FunctionCall(ChatStream stream)
    {
        JsonElement[] fragments =
        [
            .. stream.Of(0).Select(chunk => chunk.GetProperty("delta")).Where(delta => delta.Has("function_call")).Select(delta => delta.GetProperty("function_call")),
        ];
        if (fragments.Length == 0) return null;
        Assert.Equal(["name", "arguments"], fragments[0].Names());
        Assert.All(fragments[1..], fragment => Assert.Equal(["arguments"], fragment.Names()));
        return new ToolCallStream.Call("", fragments[0].Text("name")!, string.Concat(fragments.Select(fragment => fragment.Text("arguments"))), fragments.Length - 1);
    }
}
