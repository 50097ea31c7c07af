using System.Text;
using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Several choices, log probabilities and usage (U).</summary>
public abstract class ChoicesTests(HubFixture fixture)
{
    private const string Prompt = "Name a colour.";

    protected ApiClient Client => fixture.Client;

    [Fact]
    public async Task U01_Roles_come_first_and_in_order()
    {
        var stream = await Client.StreamAsync(Prompt, "\"n\":3,\"max_tokens\":8,\"seed\":5,\"stream_options\":{\"include_usage\":true}");
        var choices = stream.ChoiceChunks.Select(ChatStream.Choice).ToList();
        Assert.Equal([0, 1, 2], choices.Take(3).Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.All(choices.Take(3), choice => Assert.Equal("assistant", choice.GetProperty("delta").Text("role")));
        Assert.All(choices.Skip(3), choice => Assert.False(choice.GetProperty("delta").Has("role")));
        for (var i = 0; i < 3; i++)
        {
            Assert.NotNull(stream.FinishReason(i));
            Assert.False(stream.Of(i)[^1].IsNull("finish_reason"));
        }

        Assert.Single(stream.Chunks, chunk => !chunk.IsNull("usage"));
        Assert.True(stream.Usage().GetProperty("completion_tokens").GetInt32() >= 3);
    }

    [Fact]
    public async Task U02_The_object_has_them_all()
    {
        const string More = "\"n\":3,\"max_tokens\":8,\"seed\":5";
        var completion = await Client.CompleteAsync(Prompt, More);
        var stream = await Client.StreamAsync(Prompt, More);
        var choices = completion.GetProperty("choices").EnumerateArray().ToList();
        Assert.Equal([0, 1, 2], choices.Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.Equal(
            Enumerable.Range(0, 3).Select(i => (stream.Content(i), stream.FinishReason(i))),
            choices.Select(choice => (choice.GetProperty("message").Text("content")!, choice.Text("finish_reason")!)));
    }

    [Fact]
    public async Task U04_Log_probabilities_belong_to_their_text()
    {
        var stream = await Client.StreamAsync(Prompt, "\"max_tokens\":8,\"seed\":5,\"logprobs\":true,\"top_logprobs\":2");
        var choices = stream.Of(0);
        Assert.Empty(Content(choices[0]).EnumerateArray());
        Assert.True(choices[^1].IsNull("logprobs"));
        foreach (var choice in choices.Skip(1).SkipLast(1))
        {
            var tokens = Content(choice).EnumerateArray().ToList();
            var bytes = tokens.SelectMany(token => token.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte())).ToArray();
            Assert.Equal(choice.GetProperty("delta").Text("content"), Encoding.UTF8.GetString(bytes));
            Assert.All(tokens, token =>
            {
                Assert.Equal(["token", "logprob", "bytes", "top_logprobs"], token.Names());
                Assert.InRange(token.GetProperty("logprob").GetDouble(), -9999, 0);
                Assert.Equal(2, token.GetProperty("top_logprobs").GetArrayLength());
                Assert.All(token.GetProperty("top_logprobs").EnumerateArray(), top => Assert.Equal(["token", "logprob", "bytes"], top.Names()));
            });
        }
    }

    [Fact]
    public async Task U04_The_object_has_the_same_ones()
    {
        const string More = "\"max_tokens\":8,\"seed\":5,\"logprobs\":true,\"top_logprobs\":2";
        var completion = await Client.CompleteAsync(Prompt, More);
        var stream = await Client.StreamAsync(Prompt, More);
        Assert.Equal(
            stream.Of(0).SkipLast(1).SelectMany(choice => Content(choice).EnumerateArray()).Select(token => token.GetRawText()),
            Content(completion.GetProperty("choices")[0]).EnumerateArray().Select(token => token.GetRawText()));
    }

    [Theory]
    [InlineData("\"logprobs\":true,\"top_logprobs\":0")]
    [InlineData("\"logprobs\":true")]
    public async Task U05_Without_alternatives_the_list_is_empty(string more)
    {
        var stream = await Client.StreamAsync(Prompt, "\"max_tokens\":4," + more);
        var tokens = stream.Of(0).Skip(1).SkipLast(1).SelectMany(choice => Content(choice).EnumerateArray());
        Assert.All(tokens, token => Assert.Equal("[]", token.GetProperty("top_logprobs").GetRawText()));
    }

    [Fact]
    public async Task U06_Without_log_probabilities_there_is_null()
    {
        Assert.All((await Client.StreamAsync(Prompt, "\"max_tokens\":4,\"logprobs\":false")).Of(0), choice => Assert.True(choice.IsNull("logprobs")));
        var completion = await Client.CompleteAsync(Prompt, "\"max_tokens\":4");
        Assert.True(completion.GetProperty("choices")[0].IsNull("logprobs"));
    }

    [Fact]
    public async Task U07_Usage_is_integers()
    {
        var stream = await Client.StreamAsync(Prompt, "\"max_tokens\":4,\"stream_options\":{\"include_usage\":true}");
        AssertIntegers(stream.Usage());
        AssertIntegers((await Client.CompleteAsync(Prompt, "\"max_tokens\":4")).GetProperty("usage"));

        static void AssertIntegers(JsonElement element) => Assert.All(element.EnumerateObject(), member =>
        {
            if (member.Value.ValueKind == JsonValueKind.Object) AssertIntegers(member.Value);
            else Assert.True(member.Value.TryGetInt32(out _), member.ToString());
        });
    }

    private static JsonElement Content(JsonElement choice) => choice.GetProperty("logprobs").GetProperty("content");
}

public sealed class ScriptedChoicesTests(ScriptedHub fixture) : ChoicesTests(fixture), IClassFixture<ScriptedHub>
{
    private readonly ScriptedHub _fixture = fixture;

    [Fact]
    public async Task U01_A_choice_that_ends_early_waits_for_nobody()
    {
        // Each token is the last with probability one half, so that the choices differ in length.
        _fixture.Hub.Scripts["U01"] = new Script().Mix((" red", 0.5f), (" green", 0.5f)).Mix((" ", 0.5f), ("", 0.5f)).Forever();
        var stream = await Client.StreamAsync("U01", "\"n\":16,\"seed\":1,\"max_tokens\":50,\"stream_options\":{\"include_usage\":true}");
        var lengths = Enumerable.Range(0, 16).Select(i => stream.Content(i).Length).ToList();
        Assert.True(lengths.Distinct().Count() > 2);
        Assert.Equal([" green", " red"], Enumerable.Range(0, 16).Select(i => stream.Content(i).TrimEnd()).Distinct().Order());
        Assert.All(Enumerable.Range(0, 16), i => Assert.Equal("stop", stream.FinishReason(i)));
    }

    [Fact]
    public async Task U04_They_are_the_model_s_before_temperature_and_top_p()
    {
        _fixture.Hub.Scripts["U04"] = new Script().Mix((" red", 0.7f), (" green", 0.2f), (" blue", 0.1f));
        var stream = await Client.StreamAsync("U04", "\"temperature\":0,\"top_p\":0.1,\"logprobs\":true,\"top_logprobs\":4");
        var token = stream.Of(0)[1].GetProperty("logprobs").GetProperty("content")[0];
        Assert.Equal(" red", token.Text("token"));
        Assert.Equal(Math.Log(0.7), token.GetProperty("logprob").GetDouble(), 4);
        var top = token.GetProperty("top_logprobs").EnumerateArray().ToList();
        Assert.Equal([" red", " green", " blue"], top.Take(3).Select(alternative => alternative.Text("token")));
        Assert.Equal([Math.Log(0.7), Math.Log(0.2), Math.Log(0.1), -9999], top.Select(alternative => alternative.GetProperty("logprob").GetDouble()), (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public async Task U04_A_code_point_of_several_tokens_has_them_all()
    {
        _fixture.Hub.Scripts["U04 bytes"] = new Script().Bytes("é漢"u8);
        var stream = await Client.StreamAsync("U04 bytes", "\"logprobs\":true");
        var chunks = stream.Of(0).Skip(1).SkipLast(1).ToList();
        Assert.Equal(["é", "漢"], chunks.Select(chunk => chunk.GetProperty("delta").Text("content")));
        Assert.Equal([2, 3], chunks.Select(chunk => chunk.GetProperty("logprobs").GetProperty("content").GetArrayLength()));
    }

    [Fact]
    public async Task U07_Usage_is_exact()
    {
        _fixture.Hub.Scripts["U07"] = new Script().Say(" one two three");
        var usage = (await Client.StreamAsync("U07", "\"n\":2,\"stream_options\":{\"include_usage\":true}")).Usage();
        // <|im_start|>user\nU07<|im_end|>\n<|im_start|>assistant\n in bytes and marks; twice three words and the end of the answer.
        Assert.Equal(1 + 5 + 3 + 1 + 1 + 1 + 10, usage.GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(2 * 4, usage.GetProperty("completion_tokens").GetInt32());
    }
}

[Collection(DefaultModelCollection.Name)]
public sealed class DefaultModelChoicesTests(DefaultModelHub fixture) : ChoicesTests(fixture);
