using System.Buffers;
using System.Text;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Errors;
using Xunit;

namespace Sluice.Tests.Protocol.Completions;

/// <summary>What a request to <c>/v1/completions</c> may say, and what is told of one that may not.</summary>
public sealed class CompletionRequestTests
{
    private static CompletionRequest Read(string members)
    {
        Assert.True(TryRead(members, out var request, out var error), error?.Message);
        return request!;
    }

    private static bool TryRead(string members, out CompletionRequest? request, out ApiError? error) =>
        CompletionRequestReader.TryRead(new ReadOnlySequence<byte>(Encoding.UTF8.GetBytes($"{{\"model\":\"m\"{members}}}")), out request, out error);

    [Theory]
    [InlineData("", "[\"\"]")]
    [InlineData(",\"prompt\":null", "[\"\"]")]
    [InlineData(",\"prompt\":\"a\"", "[\"a\"]")]
    [InlineData(",\"prompt\":[\"a\",\"\"]", "[\"a\",\"\"]")]
    [InlineData(",\"prompt\":[1,2]", "[[1,2]]")]
    [InlineData(",\"prompt\":[[1,2],[3]]", "[[1,2],[3]]")]
    public void A_prompt_is_a_text_token_ids_or_several_of_them(string members, string expected)
    {
        var prompts = Read(members).Prompts;
        Assert.Equal(expected, $"[{string.Join(',', prompts.Select(prompt => prompt.Text is { } text ? $"\"{text}\"" : $"[{string.Join(',', prompt.Tokens!)}]"))}]");
    }

    [Theory]
    [InlineData(",\"prompt\":1", "prompt", "invalid_type")]
    [InlineData(",\"prompt\":[]", "prompt", "empty_array")]
    [InlineData(",\"prompt\":[[]]", "prompt[0]", "empty_array")]
    [InlineData(",\"prompt\":[\"a\",1]", "prompt[1]", "invalid_type")]
    [InlineData(",\"prompt\":[1,\"a\"]", "prompt[1]", "invalid_type")]
    [InlineData(",\"prompt\":[{}]", "prompt[0]", "invalid_type")]
    [InlineData(",\"prompt\":[1.5]", "prompt[0]", "invalid_type")]
    [InlineData(",\"prompt\":[-1]", "prompt[0]", "integer_below_min_value")]
    [InlineData(",\"suffix\":1", "suffix", "invalid_type")]
    [InlineData(",\"max_tokens\":-2", "max_tokens", "integer_below_min_value")]
    [InlineData(",\"max_tokens\":0", "max_tokens", "integer_below_min_value")]
    [InlineData(",\"n\":0", "n", "integer_below_min_value")]
    [InlineData(",\"n\":129", "n", "integer_above_max_value")]
    [InlineData(",\"best_of\":21", "best_of", "integer_above_max_value")]
    [InlineData(",\"n\":2,\"best_of\":1", "best_of", "invalid_value")]
    [InlineData(",\"n\":1,\"best_of\":3,\"stream\":true", "best_of", "unsupported_value")]
    [InlineData(",\"logprobs\":21", "logprobs", "integer_above_max_value")]
    [InlineData(",\"logprobs\":true", "logprobs", "invalid_type")]
    [InlineData(",\"echo\":1", "echo", "invalid_type")]
    [InlineData(",\"temperature\":3", "temperature", "decimal_above_max_value")]
    [InlineData(",\"stream_options\":{}", "stream_options", null)]
    public void Of_a_fault_the_parameter_and_the_kind_are_told(string members, string param, string? code)
    {
        Assert.False(TryRead(members, out _, out var error));
        Assert.Equal((400, param, code), (error!.Status, error.Param, error.Code));
    }

    [Fact]
    public void What_is_left_out_has_the_defaults_of_the_API()
    {
        var request = Read("");
        Assert.Equal((16, 1, 1, null, false, false, null), (request.MaxTokens, request.N, request.BestOf, request.Logprobs, request.Echo, request.Stream, request.Suffix));
        Assert.Equal((1.0, 1.0), (request.Temperature, request.TopP));
        Assert.Equal("", Read(",\"suffix\":\"\"").Suffix);
        Assert.Equal(0, Read(",\"max_tokens\":0,\"echo\":true").MaxTokens);
        Assert.Equal(int.MaxValue, Read(",\"max_tokens\":-1").MaxTokens);
    }

    [Theory]
    [InlineData(",\"n\":1,\"best_of\":3", "best_of")]
    [InlineData(",\"echo\":true,\"suffix\":\"\"", "echo")]
    [InlineData(",\"n\":2,\"best_of\":2,\"echo\":true", null)]
    public void What_the_local_engine_does_not_do_is_told_apart_from_what_nobody_does(string members, string? param) =>
        Assert.Equal(param, Read(members).FindLocalRefusal()?.Param);

    [Theory]
    [InlineData("", 1)]
    [InlineData(",\"prompt\":\"a\",\"n\":3", 3)]
    [InlineData(",\"n\":2,\"prompt\":[\"a\",\"b\",\"c\"]", 6)]
    [InlineData(",\"prompt\":[1,2,3]", 1)]
    [InlineData(",\"prompt\":[[1,2],[3]],\"n\":2", 4)]
    [InlineData(",\"prompt\":[]", 1)]
    [InlineData(",\"prompt\":{\"a\":[1]},\"n\":[2]", 1)]
    public void Choices_are_prompts_times_n(string members, int count)
    {
        Assert.True(CompletionDialect.Instance.TryReadOutline(Encoding.UTF8.GetBytes($"{{\"model\":\"m\"{members}}}"), out var outline, out _));
        Assert.Equal(count, outline.ChoiceCount);
    }

    [Fact]
    public void The_hub_knows_of_a_request_what_it_needs()
    {
        var body = """{"prompt":["abc",""],"logprobs":0,"max_tokens":5,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true},"model":"m"}"""u8;
        Assert.True(CompletionDialect.Instance.TryReadOutline(body, out var outline, out _));
        Assert.Equal(("m", true, true, true, 5L, 0.5, 3L), (outline.Model, outline.IsStream, outline.IncludesUsage, outline.HasLogprobs, outline.MaxTokens, outline.Temperature, outline.PromptBytes));
    }
}
