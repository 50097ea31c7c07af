using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Sluice.Server.Runtime;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Requests at the edge of what the local engine takes, asked of a whole hub.</summary>
public sealed class LocalRequestTests
{
    private const string ChatTemplate =
        "{% for m in messages %}<|im_start|>{{ m.role }}{% if m.name %} {{ m.name }}{% endif %}{{ '\n' }}{{ m.content }}<|im_end|>{{ '\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<(int Status, JsonElement Json)> AskAsync(TestHub hub, string messages, string more = "")
    {
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var body = new StringContent($$"""{"model":"scripted","messages":{{messages}}{{more}}}""", Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), body, Cancellation);
        using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(Cancellation));
        return ((int)response.StatusCode, json.RootElement.Clone());
    }

    [Theory]
    [InlineData(2_000_000)]
    [InlineData(20_000_000)]
    public async Task AMessageFarBeyondTheContext_IsTooLong_NotTooMuchForTheTemplate(int length)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        var (status, json) = await AskAsync(hub, $$"""[{"role":"user","content":"{{new string('z', length)}}"}]""");
        var error = json.GetProperty("error");
        Assert.Equal((400, "context_length_exceeded"), (status, error.GetProperty("code").GetString()));
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $" {length / 128} tokens."), error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARefusal_IsWhatTheAssistantSaid()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        var (status, json) = await AskAsync(hub, """[{"role":"user","content":"a"},{"role":"assistant","refusal":"No, thanks."},{"role":"user","content":"b"}]""");
        Assert.Equal(200, status);
        var (_, same) = await AskAsync(hub, """[{"role":"user","content":"a"},{"role":"assistant","content":"No, thanks."},{"role":"user","content":"b"}]""");
        Assert.Equal(PromptTokens(same), PromptTokens(json));

        static int PromptTokens(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
    }

    [Fact]
    public async Task AnEmptyPrompt_IsTheRequestsFault()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ChatTemplate = "{% if false %}x{% endif %}" });
        var (status, json) = await AskAsync(hub, """[{"role":"user","content":"a"}]""");
        Assert.Equal((400, "messages"), (status, json.GetProperty("error").GetProperty("param").GetString()));
        Assert.Empty(hub.Complaints);
    }

    // Codex gives instructions between the user's messages, and many templates know them at the beginning alone.
    [Theory]
    [InlineData("""[{"role":"system","content":"A"},{"role":"user","content":"b"},{"role":"system","content":"C"},{"role":"user","content":"d"}]""", 200)]
    [InlineData("""[{"role":"user","content":"b"},{"role":"assistant","content":"x"},{"role":"developer","content":"C"}]""", 200)]
    [InlineData("""[{"role":"user","content":"b"},{"role":"assistant","content":"x"},{"role":"assistant","content":"y"}]""", 400)]
    public async Task LaterInstructions_AreWordsOfTheUser_WhereTheTemplateRefusesThem(string messages, int expected)
    {
        const string Strict =
            "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('System message must be at the beginning.') }}{% endif %}"
            + "{% if not loop.first and m.role == messages[loop.index0 - 1].role %}{{ raise_exception('Roles must alternate.') }}{% endif %}"
            + "<|im_start|>{{ m.role }}{{ '\n' }}{{ m.content }}<|im_end|>{{ '\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}";
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ChatTemplate = Strict });
        var (status, json) = await AskAsync(hub, messages);
        Assert.True(status == expected, json.GetRawText());
    }

    [Theory]
    [InlineData("", "xy", 13)]
    [InlineData(",\"add_generation_prompt\":false", "", 2)]
    [InlineData(",\"continue_final_message\":true,\"add_generation_prompt\":false", "cd", 0)]
    [InlineData(",\"continue_final_message\":true", "cd", 0)]
    public async Task AnAssistantMessageAtTheEnd_IsContinuedWhenTheRequestSaysSo(string more, string answer, int closingTokens)
    {
        // The script says what the turn before says, beginning where the last one stands.
        var last = more.Contains("continue", StringComparison.Ordinal) || answer.Length == 0 ? "ab" : "xy";
        var head = "<|im_start|>user\nabcd<|im_end|>\n<|im_start|>assistant\nab".Replace("<|im_start|>", "s", StringComparison.Ordinal).Replace("<|im_end|>", "e", StringComparison.Ordinal);
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ChatTemplate = ChatTemplate });
        var (status, json) = await AskAsync(hub, $$"""[{"role":"user","content":"abcd"},{"role":"assistant","content":"{{last}}"}]""", more);
        Assert.True(status == 200, json.GetRawText());
        Assert.Equal(answer, json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(head.Length + closingTokens, json.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Theory]
    [InlineData("\"guided_choice\":[\"yes\",\"no\",\"\u00e4\"]", "yes no \u00e4")]
    [InlineData("\"guided_regex\":\"^(yes|no)$\"", "yes no")]
    [InlineData("\"structured_outputs\":{\"regex\":\"yes|no\"}", "yes no")]
    [InlineData("\"structured_outputs\":{\"choice\":[\"yes\"]}", "yes")]
    [InlineData("\"structured_outputs\":{\"json\":{\"enum\":[1,2]}}", "1 2")]
    public async Task AnAnswer_KeepsToTheGuide(string guide, string texts)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        for (var seed = 0; seed < 5; seed++)
        {
            var (status, json) = await AskAsync(hub, """[{"role":"user","content":"a"}]""", $",\"seed\":{seed},{guide}");
            Assert.Equal(200, status);
            var choice = json.GetProperty("choices")[0];
            Assert.Contains(choice.GetProperty("message").GetProperty("content").GetString(), texts.Split(' '));
            Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        }
    }

    [Theory]
    [InlineData("\"guided_regex\":\"(a\"", "guided_regex", "Invalid value: 'guided_regex' can't be followed: ")]
    [InlineData("\"structured_outputs\":{\"regex\":\"a(?<=b)\"}", "structured_outputs.regex", "Invalid value: 'structured_outputs.regex' can't be followed: ")]
    public async Task AGuide_ThatCanNotBeFollowed_IsRefusedByName(string guide, string param, string message)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        var (status, json) = await AskAsync(hub, """[{"role":"user","content":"a"}]""", $",{guide}");
        var error = json.GetProperty("error");
        Assert.Equal((400, param), (status, error.GetProperty("param").GetString()));
        Assert.StartsWith(message, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AName_MayHaveAnyCharacters()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ChatTemplate = ChatTemplate });
        foreach (var name in (string[])["Anna Maria", "a|b", "<x>", "\u00c4/\u4e2d"])
        {
            var (status, json) = await AskAsync(hub, $$"""[{"role":"user","content":"a","name":"{{name}}"}]""");
            Assert.True(status == 200, json.GetRawText());
        }
    }

    [Fact]
    public async Task AFoldedReply_DoesNotLoseItsPlace()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Limits = new Limits { Streams = new StreamLimits { HotBytes = 1 } } });
        for (var i = 0; i < 10; i++)
        {
            var (status, json) = await AskAsync(hub, """[{"role":"user","content":"Hello world"}]""", ",\"n\":16");
            Assert.Equal(200, status);
            Assert.Equal(16, json.GetProperty("choices").GetArrayLength());
        }
    }

    [Fact]
    public async Task WhoAsksBeforeSendingTooMuch_IsToldAtOnce()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        using var client = new TcpClient();
        await client.ConnectAsync(hub.Address.Host, hub.Address.Port, Cancellation);
        var stream = client.GetStream();
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes(
                $"POST /v1/chat/completions HTTP/1.1\r\nHost: {hub.Address.Authority}\r\nContent-Type: application/json\r\n"
                + "Expect: 100-continue\r\nContent-Length: 50000000\r\n\r\n"),
            Cancellation);
        using var reader = new StreamReader(stream);
        Assert.StartsWith("HTTP/1.1 413 ", await reader.ReadLineAsync(Cancellation), StringComparison.Ordinal);

        // Up to the body and no further: what comes after the reply is Kestrel waiting for a body that never comes.
        while (await reader.ReadLineAsync(Cancellation) is { Length: > 0 })
        {
        }

        var body = new char["{\"error\":{".Length];
        await reader.ReadBlockAsync(body, Cancellation);
        Assert.Equal("{\"error\":{", new string(body));
    }
}
