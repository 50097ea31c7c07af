using System.Buffers;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.Chat.Relay;

/// <summary>G-06: the many ways in which upstreams number and name tool calls.</summary>
public sealed class ToolCallNormalizerTests
{
    private const string Head = """{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}""";

    private const string WholeCall = """{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}""";

    // What each chunk has as tool_calls; a chunk without them gives its delta.
    private static string[] Calls(string finish, params string[] deltas)
    {
        var normalizer = new ChunkNormalizer(new RelayOptions("chatcmpl-1", "m", 1) { KeepsUpstreamModel = true });
        var output = new EventBuffer();
        normalizer.Add(Encoding.UTF8.GetBytes(ScriptedUpstream.Role()), output);
        output.Clear();
        foreach (var delta in deltas) normalizer.Add(Encoding.UTF8.GetBytes(ScriptedUpstream.Chunk($$"""{"index":0,"delta":{"tool_calls":[{{delta}}]},"finish_reason":null}""")), output);
        Assert.Null(normalizer.Error);
        if (finish.Length > 0)
        {
            normalizer.Add(Encoding.UTF8.GetBytes(ScriptedUpstream.Finish(finish)), output);
            normalizer.WriteEnd(output);
        }
        return [.. Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(Strip)];
    }

    private static string Strip(string chunk)
    {
        const string Start = "\"tool_calls\":[", End = "]},\"finish_reason\":null}]}";
        // As the hub writes those of its own.
        chunk = chunk.Replace("]},\"logprobs\":null,", "]},", StringComparison.Ordinal);
        var start = chunk.IndexOf(Start, StringComparison.Ordinal);
        return start < 0 ? chunk[chunk.IndexOf("\"finish_reason\":", StringComparison.Ordinal)..].TrimEnd('}', ']') : chunk[(start + Start.Length)..^End.Length];
    }

    [Fact]
    public void What_is_right_is_not_touched()
    {
        string[] fragments = [Head, """{"index":0,"function":{"arguments":"{\"x\""},"extra":1}""", """{ "index": 0, "function": {"arguments":":1}"}}"""];
        Assert.Equal(fragments, Calls("", fragments));
    }

    [Theory]
    [InlineData("""{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"x"}}""")]
    [InlineData("""{"index":0,"id":null,"type":null,"function":{"name":null,"arguments":"x"}}""")]
    [InlineData("""{"index":0,"id":"","type":"function","function":{"name":"","arguments":"x"}}""")]
    [InlineData("""{"id":"a","function":{"arguments":"x"}}""")]
    [InlineData("""{"function":{"arguments":"x"}}""")]
    [InlineData("""{"index":null,"function":{"arguments":"x"}}""")]
    public void Continuations_have_an_index_and_arguments(string fragment)
    {
        var continued = Calls("", Head, fragment)[1];
        Assert.Contains("\"index\":0", continued, StringComparison.Ordinal);
        Assert.Contains("\"function\":{\"arguments\":\"x\"}", continued, StringComparison.Ordinal);
        Assert.DoesNotContain("id", continued.Replace("index", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("name", continued, StringComparison.Ordinal);
        Assert.DoesNotContain("type", continued, StringComparison.Ordinal);
    }

    [Fact]
    public void Calls_that_all_have_index_0_are_told_apart_by_their_ids() => Assert.Equal(
        [Head, More(0, "{}"), """{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}""", """{"index":1,"function":{"arguments":"x"}}"""],
        Calls("", WholeCall, """{"index":0,"id":"b","type":"function","function":{"name":"g","arguments":""}}""", """{"index":0,"function":{"arguments":"x"}}"""));

    [Fact]
    public void Indexes_start_at_0() => Assert.Equal(
        [Head, """{"index":0,"function":{"arguments":"x"}}"""],
        Calls("", Head.Replace(":0", ":1", StringComparison.Ordinal), """{"index":1,"function":{"arguments":"x"}}"""));

    [Fact]
    public void Several_calls_in_one_chunk_become_several_chunks() => Assert.Equal(
        [Head, More(0, "{}"), """{"id":"b","type":"function","function":{"name":"g","arguments":""},"index":1}""", More(1, "{}"), "\"finish_reason\":\"tool_calls\""],
        Calls("stop", WholeCall + ",{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}"));

    [Fact]
    public void A_head_has_an_id_a_type_and_arguments() => Assert.Equal(
        ["""{"index":0,"function":{"name":"f","arguments":""},"id":"call_1_0_0","type":"function"}"""],
        Calls("", """{"index":0,"function":{"name":"f","arguments":null}}"""));

    [Fact]
    public void Arguments_that_are_an_object_become_text() => Assert.Equal(
        ["""{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":\"y\"}"}}"""],
        Calls("", """{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":{"x":"y"}}}"""));

    private static string CallHead(int index, string id, string arguments = "") =>
        $$$"""{"index":{{{index}}},"id":"{{{id}}}","type":"function","function":{"name":"f","arguments":"{{{arguments}}}"}}""";

    private static string More(int index, string arguments) => $$$"""{"index":{{{index}}},"function":{"arguments":"{{{arguments}}}"}}""";

    [Fact]
    public void E32_calls_that_come_interleaved_go_out_call_by_call() => Assert.Equal(
        [CallHead(0, "a"), More(0, "{\\\"x\\\":"), More(0, "1}"), CallHead(1, "b"), More(1, "{\\\"y\\\":"), More(1, "2}"), CallHead(2, "c")],
        Calls("", CallHead(0, "a"), CallHead(1, "b"), More(0, "{\\\"x\\\":"), More(1, "{\\\"y\\\":"), CallHead(2, "c", "{}"), More(0, "1}"), More(1, "2}")));

    [Fact]
    public void E32_a_call_without_arguments_is_over_with_the_choice() => Assert.Equal(
        [CallHead(0, "a"), More(0, "{}"), CallHead(1, "b"), More(1, "{}"), "\"finish_reason\":\"tool_calls\""],
        Calls("tool_calls", CallHead(0, "a"), CallHead(1, "b"), More(1, "{}")));

    [Theory]
    [InlineData("{\\\"a}\\\":\\\"\\\\\\\"}", "\\\"}")]
    [InlineData("{\\\"a\\\":[{\\u007d\\u005d", "}")]
    [InlineData(" [", "]")]
    [InlineData("\\\"{", "}\\\"")]
    public void E32_arguments_end_where_their_JSON_does(string first, string last) => Assert.Equal(
        [CallHead(0, "a", first), More(0, last), CallHead(1, "b")],
        Calls("", CallHead(0, "a", first), CallHead(1, "b"), More(0, last)));

    [Fact]
    public void E32_beyond_a_bound_nothing_waits()
    {
        var fragments = Enumerable.Range(0, 40).Select(_ => More(1, new string('x', 8 << 10))).ToArray();
        Assert.Equal(
            [CallHead(0, "a"), CallHead(1, "b"), .. fragments, More(0, "{ }")], Calls("", [CallHead(0, "a"), CallHead(1, "b"), .. fragments, More(0, "{ }")]));
    }

    [Fact]
    public void F07_text_beside_a_call_that_waits_does_not_wait()
    {
        var normalizer = new ChunkNormalizer(new RelayOptions("chatcmpl-1", "m", 1) { KeepsUpstreamModel = true });
        var output = new EventBuffer();
        foreach (var delta in (string[])[$"\"tool_calls\":[{Head}]", $"\"content\":\"hm\",\"tool_calls\":[{CallHead(1, "b")}]"])
            normalizer.Add(Encoding.UTF8.GetBytes(ScriptedUpstream.Chunk($$"""{"index":0,"delta":{{{delta}}},"finish_reason":null}""")), output);
        var events = Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains("""{"content":"hm"}""", events[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_finish_after_calls_says_so() => Assert.Equal("\"finish_reason\":\"tool_calls\"", Calls("stop", Head)[^1]);
}
