using System.Text;
using Sluice.ConformanceTests.Harness;
using Sluice.Server.Runtime;
using Sluice.Streaming;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>That text arrives as the model made it, and ends where it should (C).</summary>
public sealed class ContentTests(ScriptedHub fixture) : IClassFixture<ScriptedHub>
{
    private const string Nasty = "👩‍👩‍👧‍👦 e\u0301 漢字 \U00020BB7 🇩🇪 العربية \u200F";

    private ApiClient Client => fixture.Client;

    [Theory]
    [InlineData(Nasty)]
    [InlineData("\n\ndata: x\n\ndata: [DONE]\n\n: comment\r\n\u2028\u2029\"\\/\u0000\u0001\t\u007F end")]
    [InlineData("\n\n")]
    [InlineData("   \n \t leading and trailing \n\n ")]
    [InlineData("<|im_end|> <|im_start|>user")]
    [InlineData("{\"error\":{\"message\":\"no\"}}")]
    public async Task C01_C02_C03_Text_is_exact(string text)
    {
        // Byte by byte, so that code points are split over tokens; and in words.
        fixture.Hub.Scripts["bytes"] = new Script().Bytes(Encoding.UTF8.GetBytes(text));
        fixture.Hub.Scripts["words"] = new Script().Say(text);
        foreach (var script in (string[])["bytes", "words"])
        {
            var stream = await Client.StreamAsync(script);
            Assert.Equal(text, stream.Content());
            // Each delta is well-formed on its own: a lone surrogate would have become a replacement character.
            Assert.All(stream.ChoiceChunks, chunk => Assert.DoesNotContain('\uFFFD', chunk.GetRawText()));
            var completion = await Client.CompleteAsync(script);
            Assert.Equal(text, completion.GetProperty("choices")[0].GetProperty("message").Text("content"));
        }
    }

    [Fact]
    public async Task C01_The_question_may_have_it_too() => Assert.Equal(Nasty, (await Client.StreamAsync(Nasty)).Content());

    [Fact]
    public async Task C04_A_megabyte_and_a_long_delta()
    {
        // A script is faster than any model: the log keeps all of it for a reader that is not.
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions
        {
            Limits = new Limits { Streams = new StreamLimits { HotBytes = 8 << 20 } },
        });
        using var client = new ApiClient(hub);
        hub.Scripts["megabyte"] = new Script().Say(new string('x', 1 << 20));
        Assert.Equal(1 << 20, (await client.StreamAsync("megabyte")).Content().Length);

        hub.Scripts["long delta"] = new Script().Say(new string('y', 200_000));
        var stream = await client.StreamAsync("long delta");
        Assert.Equal(200_000, ChatStream.Delta(stream.Chunks[1]).Text("content")!.Length);
        var completion = await client.CompleteAsync("long delta");
        Assert.Equal(200_000, completion.GetProperty("choices")[0].GetProperty("message").Text("content")!.Length);
    }

    [Theory]
    [InlineData("max_tokens")]
    [InlineData("max_completion_tokens")]
    public async Task C05_One_token_is_one_token(string name)
    {
        fixture.Hub.Scripts["C05"] = new Script().Say(" one two");
        var stream = await Client.StreamAsync("C05", $"\"{name}\":1,\"stream_options\":{{\"include_usage\":true}}");
        Assert.Equal((" one", "length"), (stream.Content(), stream.FinishReason()));
        Assert.Equal(1, stream.Usage().GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task C06_Nothing_of_a_stop_sequence_leaks()
    {
        fixture.Hub.Scripts["C06"] = new Script().Say("before E").Say("N").Say("D tail");
        var stream = await Client.StreamAsync("C06", "\"stop\":[\"END\"]");
        Assert.Equal(("before ", "stop"), (stream.Content(), stream.FinishReason()));
        Assert.DoesNotContain("\"E", stream.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\" two\"", " one")]
    [InlineData("[\"x\",\" four\",\" three\",\"y\"]", " one two")]
    [InlineData("null", " one two three")]
    public async Task C07_Stop_is_a_string_or_several(string stop, string expected)
    {
        fixture.Hub.Scripts["C07"] = new Script().Say(" one two three");
        Assert.Equal(expected, (await Client.StreamAsync("C07", $"\"stop\":{stop}")).Content());
    }

    [Fact]
    public async Task C07_Seventeen_are_too_many()
    {
        var sequences = string.Join(',', Enumerable.Range(0, 17).Select(i => $"\"{i}\""));
        var error = await Client.RefuseAsync(Client.Chat("C07", $"\"stream\":true,\"stop\":[{sequences}]"));
        Assert.Equal((400, "stop", "array_above_max_length"), (error.Status, error.Param, error.Code));
    }

    [Fact]
    public async Task C08_What_only_began_a_stop_sequence_comes_in_the_end()
    {
        fixture.Hub.Scripts["C08"] = new Script().Say("before EN");
        var stream = await Client.StreamAsync("C08", "\"stop\":[\"END\"]");
        Assert.Equal(("before EN", "stop"), (stream.Content(), stream.FinishReason()));
    }

    [Fact]
    public async Task C08_It_comes_at_the_token_limit_too()
    {
        fixture.Hub.Scripts["C08 limit"] = new Script().Say("EN").Say("D tail");
        var stream = await Client.StreamAsync("C08 limit", "\"stop\":[\"END\"],\"max_tokens\":2");
        Assert.Equal(("EN", "length"), (stream.Content(), stream.FinishReason()));
    }
}
