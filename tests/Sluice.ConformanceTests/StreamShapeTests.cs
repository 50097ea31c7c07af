using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>What every stream looks like, whichever model is behind it (S).</summary>
public abstract class StreamShapeTests(HubFixture fixture)
{
    private static readonly string[] s_finishReasons = ["stop", "length", "tool_calls", "content_filter", "function_call"];

    private ApiClient Client => fixture.Client;

    [Fact]
    public async Task S01_The_first_chunk_has_the_role()
    {
        var choice = ChatStream.Choice((await StreamAsync()).Chunks[0]);
        Assert.Equal("assistant", choice.GetProperty("delta").Text("role"));
        Assert.Equal("", choice.GetProperty("delta").Text("content"));
        Assert.True(choice.IsNull("finish_reason"));
        Assert.Equal(0, choice.GetProperty("index").GetInt32());
    }

    [Fact]
    public async Task S02_Later_chunks_have_no_role() =>
        Assert.All((await StreamAsync()).ChoiceChunks.Skip(1), chunk => Assert.False(ChatStream.Delta(chunk).Has("role")));

    [Fact]
    public async Task S03_Id_created_model_and_object_are_constant()
    {
        var before = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var stream = await StreamAsync("\"stream_options\":{\"include_usage\":true}");
        var first = stream.Chunks[0];
        Assert.StartsWith("chatcmpl-", first.Text("id"), StringComparison.Ordinal);
        Assert.InRange(first.GetProperty("created").GetInt64(), before - 5, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 5);
        Assert.Equal(fixture.Hub.Model, first.Text("model"));
        Assert.All(stream.Chunks, chunk =>
        {
            Assert.Equal("chat.completion.chunk", chunk.Text("object"));
            foreach (var name in (string[])["id", "created", "model"])
            {
                Assert.Equal(first.GetProperty(name).GetRawText(), chunk.GetProperty(name).GetRawText());
            }
        });
    }

    [Fact]
    public async Task S04_One_finish_chunk_with_an_empty_delta()
    {
        var finish = Assert.Single((await StreamAsync()).ChoiceChunks.Select(ChatStream.Choice), choice => !choice.IsNull("finish_reason"));
        Assert.Equal("{}", finish.GetProperty("delta").GetRawText());
        Assert.Contains(finish.Text("finish_reason"), s_finishReasons);
        Assert.True(finish.IsNull("logprobs"));
    }

    [Fact]
    public async Task S05_Until_then_finish_reason_is_null()
    {
        var choices = (await StreamAsync()).ChoiceChunks.Select(ChatStream.Choice).ToList();
        Assert.All(choices.SkipLast(1), choice => Assert.Equal(JsonValueKind.Null, choice.GetProperty("finish_reason").ValueKind));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\"stream_options\":{\"include_usage\":false}")]
    [InlineData("\"stream_options\":{}")]
    [InlineData("\"stream_options\":null")]
    public async Task S06_S08_Usage_that_is_not_asked_for_leaves_no_trace(string options)
    {
        var stream = await StreamAsync(options);
        Assert.All(stream.Chunks, chunk =>
        {
            Assert.False(chunk.Has("usage"));
            Assert.Equal(1, chunk.GetProperty("choices").GetArrayLength());
        });
    }

    [Fact]
    public async Task S07_Usage_that_is_asked_for_comes_last()
    {
        var stream = await StreamAsync("\"stream_options\":{\"include_usage\":true}");
        Assert.All(stream.Chunks.SkipLast(1), chunk => Assert.True(chunk.IsNull("usage")));
        var usage = stream.Usage();
        Assert.True(usage.GetProperty("prompt_tokens").GetInt32() > 0);
        Assert.Equal(
            usage.GetProperty("total_tokens").GetInt32(),
            usage.GetProperty("prompt_tokens").GetInt32() + usage.GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [InlineData("\"stream_options\":{\"include_obfuscation\":false}")]
    [InlineData("\"stream_options\":{\"include_obfuscation\":true}")]
    public async Task S09_Obfuscation_is_accepted_and_not_sent(string options) =>
        Assert.All((await StreamAsync(options)).Chunks, chunk => Assert.False(chunk.Has("obfuscation")));

    [Theory]
    [InlineData("", 0)]
    [InlineData("\"stream_options\":{\"include_usage\":true}", 1)]
    public async Task S10_After_the_finish_come_usage_and_done_only(string options, int chunksAfterFinish)
    {
        var stream = await StreamAsync(options);
        var finish = stream.Chunks.ToList().FindIndex(chunk => chunk.GetProperty("choices").GetArrayLength() > 0 && !ChatStream.Choice(chunk).IsNull("finish_reason"));
        Assert.Equal(chunksAfterFinish, stream.Chunks.Count - finish - 1);
    }

    [Fact]
    public async Task S11_No_chunk_has_an_error_key() =>
        Assert.All((await StreamAsync("\"stream_options\":{\"include_usage\":true}")).Chunks, chunk => Assert.False(chunk.Has("error")));

    [Fact]
    public async Task S13_A_stream_says_what_the_object_says()
    {
        var stream = await StreamAsync("\"stream_options\":{\"include_usage\":true}");
        var completion = await Client.CompleteAsync("Say hello to the world.", "\"seed\":7,\"max_tokens\":12");
        var choice = completion.GetProperty("choices")[0];
        Assert.Equal(choice.GetProperty("message").Text("content"), stream.Content());
        Assert.Equal(choice.Text("finish_reason"), stream.FinishReason());
        Assert.Equal(completion.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), stream.Usage().GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [InlineData("auto", "default")]
    [InlineData("default", "default")]
    [InlineData("flex", "flex")]
    [InlineData("priority", "priority")]
    public async Task S15_The_service_tier_is_in_the_object_and_in_every_chunk(string asked, string told)
    {
        Assert.All((await StreamAsync($"\"service_tier\":\"{asked}\"")).Chunks, chunk => Assert.Equal(told, chunk.Text("service_tier")));
        var completion = await Client.CompleteAsync("Hello", $"\"max_tokens\":2,\"service_tier\":\"{asked}\"");
        Assert.Equal(told, completion.Text("service_tier"));
    }

    [Fact]
    public async Task S15_No_tier_is_made_up() => Assert.All((await StreamAsync()).Chunks, chunk => Assert.False(chunk.Has("service_tier")));

    private Task<ChatStream> StreamAsync(string more = "") =>
        Client.StreamAsync("Say hello to the world.", "\"seed\":7,\"max_tokens\":12" + (more.Length > 0 ? "," + more : ""));
}

public sealed class ScriptedStreamShapeTests(ScriptedHub fixture) : StreamShapeTests(fixture), IClassFixture<ScriptedHub>
{
    [Fact]
    public async Task S12_An_empty_answer_has_role_finish_and_done()
    {
        fixture.Hub.Scripts["S12"] = new();
        var stream = await fixture.Client.StreamAsync("S12");
        Assert.Equal(2, stream.Chunks.Count);
        Assert.Equal("assistant", ChatStream.Delta(stream.Chunks[0]).Text("role"));
        Assert.Equal("stop", ChatStream.Choice(stream.Chunks[1]).Text("finish_reason"));
        Assert.Equal("", (await fixture.Client.CompleteAsync("S12")).GetProperty("choices")[0].GetProperty("message").Text("content"));
    }
}

[Collection(DefaultModelCollection.Name)]
public sealed class DefaultModelStreamShapeTests(DefaultModelHub fixture) : StreamShapeTests(fixture);
