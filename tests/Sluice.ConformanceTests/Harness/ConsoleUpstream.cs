using System.Text;
using System.Text.Json;
using Sluice.Testing;

namespace Sluice.ConformanceTests.Harness;

/// <summary>An upstream for a person at the console: what it answers depends on the last message alone.</summary>
internal static class ConsoleUpstream
{
    /// <summary>Pieces of the answer to <c>count</c>, each a word and a space.</summary>
    public const int Counted = 80;

    /// <summary>Pieces of the answer to <c>long</c>.</summary>
    public const int LongPieces = 10_000;

    /// <summary>Markdown that wants to be more than text.</summary>
    private static readonly string s_hostile = string.Join("\n\n",
        "<script>window.pwned = 1</script>",
        "<img src=x onerror=\"window.pwned = 2\"> <svg/onload=window.pwned=3> <iframe srcdoc=\"<script>parent.pwned=4</script>\">",
        "[a](javascript:window.pwned=5) [b](JaVaScRiPt:window.pwned=6) [c](java\tscript:window.pwned=7) [d](&#106;avascript:window.pwned=8)",
        "[e](data:text/html,<script>window.pwned=9</script>) [f](vbscript:x) [g](//example.invalid/x) [h](blob:x) [i](file:///etc/passwd)",
        "[j](<javascript:window.pwned=10>) <javascript:window.pwned=11> ![k](javascript:window.pwned=12) ![pixel](https://example.invalid/pixel.png)",
        "[good](https://example.invalid/a?b=c) [mail](mailto:a@example.invalid) https://example.invalid/plain.",
        "[l](https://example.invalid/\" onmouseover=\"window.pwned=13) `<b>code</b>` **<u>bold</u>**",
        "```html\" onclick=\"window.pwned=14\n<script>window.pwned=15</script>\nif (x\u202E == y\u202C) {}\n```",
        "| <script>window.pwned=16</script> | b |\n|---|---|\n| <img src=x onerror=window.pwned=17> | [m](javascript:window.pwned=18) |",
        new string('>', 3000) + " deep", new string('[', 5000), string.Concat(Enumerable.Repeat("*a_b", 3000)), "x " + new string('`', 2000),
        string.Concat(Enumerable.Range(0, 60).Select(static depth => new string(' ', depth * 2) + "- x\n")),
        "\u001B[31mred\u001B[0m \u0000 end of hostile");

    /// <summary>Starts it.</summary>
    public static Task<ScriptedUpstream> StartAsync() => ScriptedUpstream.StartAsync(AnswerAsync);

    private static async Task AnswerAsync(UpstreamReply reply)
    {
        using var request = JsonDocument.Parse(reply.Call.Body);
        var last = request.RootElement.GetProperty("messages").EnumerateArray().Last();
        var said = TextOf(last);
        var isCall = said == "tools" && last.GetProperty("role").GetString() == "user";
        if (said == "silent")
        {
            await reply.StallAsync();
            return;
        }
        await reply.EventAsync(ScriptedUpstream.Role());
        if (last.GetProperty("role").GetString() == "tool") await SayAsync(reply, $"The tool said: {said}");
        else if (isCall) await CallAsync(reply);
        else if (said == "count") await CountAsync(reply);
        else if (said == "hostile") await HostileAsync(reply);
        else if (said == "code") await CodeAsync(reply);
        else if (said == "long") await LongAsync(reply);
        else if (said == "reason") await ReasonAsync(reply);
        else await SayAsync(reply, $"You said **{said}**, as message {request.RootElement.GetProperty("messages").GetArrayLength()}.");
        await reply.EventAsync(ScriptedUpstream.Finish(isCall ? "tool_calls" : "stop"));
        await reply.EventAsync(ScriptedUpstream.Usage());
        await reply.EventAsync("[DONE]");
    }

    private static string TextOf(JsonElement message)
    {
        var content = message.GetProperty("content");
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        var images = content.EnumerateArray().Count(static part => part.GetProperty("type").GetString() == "image_url");
        return string.Concat(content.EnumerateArray().Select(static part => part.TryGetProperty("text", out var text) ? text.GetString() : "")) + (images > 0 ? $" with {images} image" : "");
    }

    private static Task SayAsync(UpstreamReply reply, string text) => reply.EventAsync(ScriptedUpstream.Text(Escape(text)));

    private static async Task CountAsync(UpstreamReply reply)
    {
        for (var i = 1; i <= Counted; i++)
        {
            await SayAsync(reply, $"w{i} ");
            await Task.Delay(25, reply.Aborted);
        }
    }

    private static async Task CodeAsync(UpstreamReply reply)
    {
        const string Text = "Here:\n\n```python\ndef f(x):  # a comment\n    return \"<b>\" + str(12)\n```\n\nand\n\n```diff\n+new\n-old\n```\n";
        for (var start = 0; start < Text.Length; start += 5) await SayAsync(reply, Text[start..int.Min(start + 5, Text.Length)]);
    }

    private static async Task HostileAsync(UpstreamReply reply)
    {
        for (var start = 0; start < s_hostile.Length; start += 7)
        {
            // A pair of surrogates or a line may be cut anywhere.
            await SayAsync(reply, s_hostile[start..int.Min(start + 7, s_hostile.Length)]);
        }
    }

    private static async Task LongAsync(UpstreamReply reply)
    {
        var text = new StringBuilder();
        for (var i = 0; i < LongPieces; i++)
        {
            var piece = (i % 400) switch { 0 => "\n\n## Part\n\n", 100 => "\n\n```text\n", 199 => "\n```\n\n", 250 => "\n\n- an item", > 250 and < 350 when i % 10 == 0 => "\n- an item", _ => $" word{i}" };
            text.Append("data: ").Append(ScriptedUpstream.Text(Escape(piece))).Append("\n\n");
            // As a network brings it: some at a time.
            if (i % 50 != 49) continue;
            await reply.SendAsync(text.ToString());
            text.Clear();
            await Task.Delay(5, reply.Aborted);
        }
    }

    private static async Task ReasonAsync(UpstreamReply reply)
    {
        await reply.EventAsync(ScriptedUpstream.Chunk("""{"index":0,"delta":{"reasoning_content":"I think of it."},"logprobs":null,"finish_reason":null}"""));
        await SayAsync(reply, "So it is.");
    }

    private static async Task CallAsync(UpstreamReply reply)
    {
        await reply.EventAsync(ScriptedUpstream.Chunk(
            """{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]},"logprobs":null,"finish_reason":null}"""));
        foreach (var part in (string[])["{\\\"city\\\":", "\\\"Bern\\\"}"])
        {
            await reply.EventAsync(ScriptedUpstream.Chunk(
                $$$"""{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{{{part}}}"}}]},"logprobs":null,"finish_reason":null}"""));
        }
    }

    private static string Escape(string text) => JsonEncodedText.Encode(text).ToString();
}
