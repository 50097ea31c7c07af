using System.Text.Json;
using Xunit;

namespace Sluice.ConformanceTests.Harness;

/// <summary>The tool calls of a stream, with the shape of every fragment checked (F-01, F-02, F-05, E-25 to E-36).</summary>
public static class ToolCallStream
{
    /// <summary>A call as its fragments give it.</summary>
    public sealed record Call(string Id, string Name, string Arguments, int FragmentCount);

    public static IReadOnlyList<Call> ToolCalls(this ChatStream stream, int choice = 0)
    {
        var calls = new List<Call>();
        foreach (var chunk in stream.Of(choice))
        {
            var delta = chunk.GetProperty("delta");
            if (!delta.TryGetProperty("tool_calls", out var fragments)) continue;
            Assert.Equal(["tool_calls"], delta.Names());
            Assert.Equal(JsonValueKind.Null, chunk.GetProperty("finish_reason").ValueKind);
            var fragment = Assert.Single(fragments.EnumerateArray());
            var index = fragment.GetProperty("index").GetInt32();
            var function = fragment.GetProperty("function");
            if (index == calls.Count)
            {
                Assert.Equal(["index", "id", "type", "function"], fragment.Names());
                Assert.Equal(["name", "arguments"], function.Names());
                Assert.StartsWith("call_", fragment.Text("id"), StringComparison.Ordinal);
                Assert.Equal(("function", ""), (fragment.Text("type"), function.Text("arguments")));
                calls.Add(new Call(fragment.Text("id")!, function.Text("name")!, "", 0));
                continue;
            }

            // Call by call: never back to an earlier one.
            Assert.Equal(calls.Count - 1, index);
            Assert.Equal(["index", "function"], fragment.Names());
            Assert.Equal(["arguments"], function.Names());
            Assert.NotEqual("", function.Text("arguments"));
            calls[^1] = calls[^1] with { Arguments = calls[^1].Arguments + function.Text("arguments"), FragmentCount = calls[^1].FragmentCount + 1 };
        }

        Assert.Equal(calls.Count, calls.Select(call => call.Id).Distinct().Count());
        Assert.All(calls, call => Assert.NotEqual("", call.Arguments));
        return calls;
    }

    /// <summary>The calls of a whole reply.</summary>
    public static IReadOnlyList<Call> ToolCalls(this JsonElement completion, int choice = 0) =>
        completion.GetProperty("choices")[choice].GetProperty("message").TryGetProperty("tool_calls", out var calls)
            ? [.. calls.EnumerateArray().Select(call => new Call(
                call.Text("id")!, call.GetProperty("function").Text("name")!, call.GetProperty("function").Text("arguments")!, 0))]
            : [];
}
