using System.Text.Json;
using Xunit;

namespace Sluice.ConformanceTests.Harness;

/// <summary>The tool calls of a stream, with the shape of every fragment checked (F-01, F-02, F-05, E-25 to E-36).</summary>
public static class ToolCallStream
{
    /// <summary>A call as its fragments give it.</summary>
    public sealed record Call(string Id, string Name, string Arguments, int FragmentCount);

    /// <param name="stream">The stream.</param>
    /// <param name="choice">Whose calls.</param>
    /// <param name="isStrict">Whether chunks are the hub's own; of those that an upstream wrote the first of a call may have arguments, and its members any order.</param>
    public static IReadOnlyList<Call> ToolCalls(this ChatStream stream, int choice = 0, bool isStrict = true)
    {
        var calls = new List<Call>();
        foreach (var chunk in stream.Of(choice))
        {
            var delta = chunk.GetProperty("delta");
            if (!delta.TryGetProperty("tool_calls", out var fragments)) continue;
            // The role may come with the first call, as OpenAI has it.
            if (calls.Count > 0 || !delta.Has("role")) Assert.Equal(["tool_calls"], delta.Names());
            Assert.Equal(JsonValueKind.Null, chunk.GetProperty("finish_reason").ValueKind);
            var fragment = Assert.Single(fragments.EnumerateArray());
            var index = fragment.GetProperty("index").GetInt32();
            var (kind, textName) = fragment.Has("custom") ? ("custom", "input") : ("function", "arguments");
            var called = fragment.GetProperty(kind);
            if (index == calls.Count)
            {
                if (isStrict) Assert.Equal(["index", "id", "type", kind], fragment.Names());
                else Assert.Equivalent((string[])["index", "id", "type", kind], fragment.Names(), strict: true);
                Assert.Equal(["name", textName], called.Names());
                Assert.Matches("^(call|toolu)_", fragment.Text("id"));
                Assert.Equal(kind, fragment.Text("type"));
                if (isStrict) Assert.Equal("", called.Text(textName));
                calls.Add(new Call(fragment.Text("id")!, called.Text("name")!, called.Text(textName)!, 0));
                continue;
            }

            // Call by call: never back to an earlier one.
            Assert.Equal(calls.Count - 1, index);
            Assert.Equivalent((string[])["index", kind], fragment.Names(), strict: true);
            Assert.Equal([textName], called.Names());
            Assert.NotEqual("", called.Text(textName));
            calls[^1] = calls[^1] with { Arguments = calls[^1].Arguments + called.Text(textName), FragmentCount = calls[^1].FragmentCount + 1 };
        }

        Assert.Equal(calls.Count, calls.Select(call => call.Id).Distinct().Count());
        Assert.All(calls, call => Assert.NotEqual("", call.Arguments));
        return calls;
    }

    /// <summary>The calls as LlamaIndex joins them: only the first entry of a chunk, and a new call wherever the index differs from the last one (F-09).</summary>
    public static IReadOnlyList<Call> FirstEntries(this ChatStream stream)
    {
        var calls = new List<(int Index, Call Call)>();
        foreach (var chunk in stream.Of(0))
        {
            if (!chunk.GetProperty("delta").TryGetProperty("tool_calls", out var fragments)) continue;
            var fragment = fragments[0];
            var index = fragment.GetProperty("index").GetInt32();
            var function = fragment.GetProperty("function");
            if (calls.Count == 0 || calls[^1].Index != index) calls.Add((index, new Call("", "", "", 0)));
            var call = calls[^1].Call;
            calls[^1] = (index, call with
            {
                Id = call.Id + Optional(fragment, "id"),
                Name = call.Name + Optional(function, "name"),
                Arguments = call.Arguments + Optional(function, "arguments"),
            });
        }

        return [.. calls.Select(call => call.Call)];

        static string? Optional(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    /// <summary>The calls of a whole reply.</summary>
    public static IReadOnlyList<Call> ToolCalls(this JsonElement completion, int choice = 0) =>
        completion.GetProperty("choices")[choice].GetProperty("message").TryGetProperty("tool_calls", out var calls)
            ? [.. calls.EnumerateArray().Select(ReadCall)]
            : [];

    private static Call ReadCall(JsonElement call)
    {
        var type = call.Text("type")!;
        Assert.Equal(["id", "type", type], call.Names());
        return new Call(call.Text("id")!, call.GetProperty(type).Text("name")!, call.GetProperty(type).Text(type == "custom" ? "input" : "arguments")!, 0);
    }
}
