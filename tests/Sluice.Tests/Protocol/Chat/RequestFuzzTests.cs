using System.Buffers;
using System.Text;
using Sluice.Protocol.Chat;
using Xunit;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>Valid bodies, broken at random: the reader refuses with a whole error or accepts, and never throws.</summary>
public sealed class RequestFuzzTests
{
    private static readonly string[] Valid =
    [
        """{"model":"m","messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"x"}}]}],"stream":true,"stream_options":{"include_usage":true}}""",
        """{"model":"m","messages":[{"role":"user","content":"\ud83d\ude00"}],"temperature":0.5,"top_p":1,"n":2,"stop":["a","b"],"seed":-1,"logit_bias":{"5":-100},"logprobs":true,"top_logprobs":3,"metadata":{"a":"b"},"user":"u"}""",
        """{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":{"type":"function","function":{"name":"f"}}}""",
        """{"model":"m","messages":[{"role":"user","content":"x"}],"functions":[{"name":"f"}],"function_call":{"name":"f"},"response_format":{"type":"json_schema","json_schema":{"name":"s"}},"service_tier":"flex","modalities":["text"]}""",
    ];

    private static readonly string[] Values =
    [
        "null", "true", "0", "-1", "1.5", "1e999", "99999999999999999999", "\"\"", "\"x\"", "[]", "{}", "[null]", "[[]]", "[{}]", "{\"type\":\"text\"}", "{\"type\":7}", "\"\\ud800\"", "nul", "\"auto\"", "\"function\"",
    ];

    [Fact]
    public void Valid_bodies_are_accepted() => Assert.All(Valid, body => RequestReading.Accept(body));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Mutated_bodies_are_refused_with_a_whole_error_or_accepted(int seed)
    {
        var random = new Random(seed);
        var outcomes = new HashSet<bool>();
        for (var run = 0; run < 20_000; run++)
        {
            var body = Mutate(random, Valid[random.Next(Valid.Length)]);
            try
            {
                var read = ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(body), out var request, out var error);
                outcomes.Add(read);
                Assert.True(read == request is not null && read == error is null);
                if (read) Touch(request!);
                else RequestReading.AssertFourKeys(error!);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"seed {seed}, run {run}: {Encoding.UTF8.GetString(body)}", exception);
            }
        }

        Assert.Equal(2, outcomes.Count);
    }

    // What was accepted can be read whole.
    private static void Touch(ChatCompletionRequest request)
    {
        Assert.NotEmpty(request.Model);
        Assert.NotEmpty(request.Messages);
        _ = request.FindLocalRefusal();
        _ = request.ToString();
        foreach (var message in request.Messages) _ = message.ToString() + message.ToolCalls?.GetRawText();
    }

    private static byte[] Mutate(Random random, string body)
    {
        for (var i = random.Next(1, 4); i > 0; i--) body = MutateOnce(random, body);
        var bytes = Encoding.UTF8.GetBytes(body);
        if (bytes.Length > 0 && random.Next(5) == 0) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return bytes;
    }

    private static string MutateOnce(Random random, string body)
    {
        if (body.Length < 2) return body;
        var at = random.Next(body.Length);
        var length = random.Next(1, Math.Min(20, body.Length - at + 1));
        switch (random.Next(5))
        {
            case 0:
                return body.Remove(at, length);
            case 1:
                return body.Insert(at, body.Substring(at, length));
            case 2:
                return body[..at];
            default:
                // Another value for a member, which most often stays valid JSON.
                var colons = Enumerable.Range(0, body.Length).Where(place => body[place] == ':').ToArray();
                if (colons.Length == 0) return body;
                var colon = colons[random.Next(colons.Length)] + 1;
                var end = EndOfValue(body, colon);
                return body[..colon] + Values[random.Next(Values.Length)] + body[end..];
        }
    }

    // Roughly: up to the comma or bracket on the same level.
    private static int EndOfValue(string body, int at)
    {
        var depth = 0;
        var isText = false;
        for (; at < body.Length; at++)
        {
            if (body[at] == '"') isText = !isText;
            if (isText) continue;
            if (body[at] is '{' or '[') depth++;
            if (body[at] is '}' or ']' && depth-- == 0) break;
            if (body[at] == ',' && depth == 0) break;
        }

        return at;
    }
}
