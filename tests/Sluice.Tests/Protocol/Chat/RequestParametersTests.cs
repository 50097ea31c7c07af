using Sluice.Protocol;
using Xunit;
using static Sluice.Tests.Protocol.Chat.RequestReading;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>Sampling, stopping, streaming and metadata: V-06 to V-11, V-15, V-17, V-21, V-23, C-07, S-08, S-09 and their rows of the error table.</summary>
public sealed class RequestParametersTests
{
    [Theory]
    [InlineData("\"temperature\":\"hot\"", "Invalid type for 'temperature': expected a decimal, but got a string instead.", "temperature", "invalid_type")]
    [InlineData("\"temperature\":\"NaN\"", "Invalid type for 'temperature': expected a decimal, but got a string instead.", "temperature", "invalid_type")]
    [InlineData("\"temperature\":3", "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.", "temperature", "decimal_above_max_value")]
    [InlineData("\"temperature\":2.1", "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.1 instead.", "temperature", "decimal_above_max_value")]
    [InlineData("\"temperature\":-0.1", "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -0.1 instead.", "temperature", "decimal_below_min_value")]
    [InlineData("\"temperature\":1e999", "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 1e999 instead.", "temperature", "decimal_above_max_value")]
    [InlineData("\"temperature\":-1e999", "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1e999 instead.", "temperature", "decimal_below_min_value")]
    [InlineData("\"top_p\":1.1", "Invalid 'top_p': decimal above maximum value. Expected a value <= 1, but got 1.1 instead.", "top_p", "decimal_above_max_value")]
    [InlineData("\"presence_penalty\":2.1", "Invalid 'presence_penalty': decimal above maximum value. Expected a value <= 2, but got 2.1 instead.", "presence_penalty", "decimal_above_max_value")]
    [InlineData("\"presence_penalty\":-3", "Invalid 'presence_penalty': decimal below minimum value. Expected a value >= -2, but got -3 instead.", "presence_penalty", "decimal_below_min_value")]
    [InlineData("\"frequency_penalty\":3", "Invalid 'frequency_penalty': decimal above maximum value. Expected a value <= 2, but got 3 instead.", "frequency_penalty", "decimal_above_max_value")]
    [InlineData("\"frequency_penalty\":-2.1", "Invalid 'frequency_penalty': decimal below minimum value. Expected a value >= -2, but got -2.1 instead.", "frequency_penalty", "decimal_below_min_value")]
    [InlineData("\"n\":0", "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.", "n", "integer_below_min_value")]
    [InlineData("\"n\":129", "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.", "n", "integer_above_max_value")]
    [InlineData("\"n\":1.5", "Invalid type for 'n': expected an integer, but got a decimal number instead.", "n", "invalid_type")]
    [InlineData("\"n\":1.0", "Invalid type for 'n': expected an integer, but got a decimal number instead.", "n", "invalid_type")]
    [InlineData("\"n\":1e2", "Invalid type for 'n': expected an integer, but got a decimal number instead.", "n", "invalid_type")]
    [InlineData("\"n\":\"2\"", "Invalid type for 'n': expected an integer, but got a string instead.", "n", "invalid_type")]
    [InlineData("\"n\":true", "Invalid type for 'n': expected an integer, but got a boolean instead.", "n", "invalid_type")]
    [InlineData("\"max_tokens\":0", "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.", "max_tokens", "integer_below_min_value")]
    [InlineData("\"max_tokens\":99999999999", "Invalid 'max_tokens': integer above maximum value. Expected a value <= 2147483647, but got 99999999999 instead.", "max_tokens", "integer_above_max_value")]
    [InlineData("\"max_completion_tokens\":0", "Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.", "max_completion_tokens", "integer_below_min_value")]
    [InlineData("\"seed\":9223372036854775808", "Invalid 'seed': integer above maximum value. Expected a value <= 9223372036854775807, but got 9223372036854775808 instead.", "seed", "integer_above_max_value")]
    [InlineData("\"seed\":-9223372036854775809", "Invalid 'seed': integer below minimum value. Expected a value >= -9223372036854775808, but got -9223372036854775809 instead.", "seed", "integer_below_min_value")]
    [InlineData("\"seed\":1.5", "Invalid type for 'seed': expected an integer, but got a decimal number instead.", "seed", "invalid_type")]
    [InlineData("\"logprobs\":1", "Invalid type for 'logprobs': expected a boolean, but got an integer instead.", "logprobs", "invalid_type")]
    [InlineData("\"logprobs\":true,\"top_logprobs\":21", "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20, but got 21 instead.", "top_logprobs", "integer_above_max_value")]
    [InlineData("\"stream\":true,\"logprobs\":true,\"top_logprobs\":21", "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20, but got 21 instead.", "top_logprobs", "integer_above_max_value")]
    [InlineData("\"logprobs\":true,\"top_logprobs\":-1", "Invalid 'top_logprobs': integer below minimum value. Expected a value >= 0, but got -1 instead.", "top_logprobs", "integer_below_min_value")]
    [InlineData("\"top_logprobs\":1", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs", null)]
    [InlineData("\"logprobs\":false,\"top_logprobs\":1", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs", null)]
    [InlineData("\"stream_options\":{\"include_usage\":true}", "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", null)]
    [InlineData("\"stream\":false,\"stream_options\":{}", "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", null)]
    [InlineData("\"stream\":true,\"stream_options\":7", "Invalid type for 'stream_options': expected an object, but got an integer instead.", "stream_options", "invalid_type")]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_usage\":1}", "Invalid type for 'stream_options.include_usage': expected a boolean, but got an integer instead.", "stream_options.include_usage", "invalid_type")]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_obfuscation\":\"no\"}", "Invalid type for 'stream_options.include_obfuscation': expected a boolean, but got a string instead.", "stream_options.include_obfuscation", "invalid_type")]
    [InlineData("\"stream\":\"yes\"", "Invalid type for 'stream': expected a boolean, but got a string instead.", "stream", "invalid_type")]
    [InlineData("\"store\":\"yes\"", "Invalid type for 'store': expected a boolean, but got a string instead.", "store", "invalid_type")]
    [InlineData("\"user\":{}", "Invalid type for 'user': expected a string, but got an object instead.", "user", "invalid_type")]
    [InlineData("\"service_tier\":\"bogus\"", "Invalid value: 'bogus'. Supported values are: 'auto', 'default', 'fast', 'flex', 'priority', and 'scale'.", "service_tier", "invalid_value")]
    [InlineData("\"service_tier\":{}", "Invalid type for 'service_tier': expected one of 'auto', 'default', 'fast', 'flex', 'priority', or 'scale', but got an object instead.", "service_tier", "invalid_type")]
    [InlineData("\"stop\":7", "Invalid type for 'stop': expected one of a string or array of strings, but got an integer instead.", "stop", "invalid_type")]
    [InlineData("\"stop\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]", "Invalid 'stop': array too long. Expected an array with maximum length 16, but got an array with length 17 instead.", "stop", "array_above_max_length")]
    [InlineData("\"stop\":[\"a\",null]", "Invalid type for 'stop[1]': expected a string, but got null instead.", "stop[1]", "invalid_type")]
    [InlineData("\"logit_bias\":[]", "Invalid type for 'logit_bias': expected an object, but got an array instead.", "logit_bias", "invalid_type")]
    [InlineData("\"logit_bias\":{\"50256\":101}", "Invalid 'logit_bias.50256': integer above maximum value. Expected a value <= 100, but got 101 instead.", "logit_bias.50256", "integer_above_max_value")]
    [InlineData("\"logit_bias\":{\"50256\":-101}", "Invalid 'logit_bias.50256': integer below minimum value. Expected a value >= -100, but got -101 instead.", "logit_bias.50256", "integer_below_min_value")]
    [InlineData("\"logit_bias\":{\"50256\":null}", "Invalid type for 'logit_bias.50256': expected an integer, but got null instead.", "logit_bias.50256", "invalid_type")]
    [InlineData("\"logit_bias\":{\"foo\":0}", "Invalid key in 'logit_bias': foo. You should only be submitting non-negative integers.", "logit_bias", "invalid_value")]
    [InlineData("\"logit_bias\":{\"-1\":0}", "Invalid key in 'logit_bias': -1. You should only be submitting non-negative integers.", "logit_bias", "invalid_value")]
    [InlineData("\"metadata\":\"x\"", "Invalid type for 'metadata': expected a metadata object, but got a string instead.", "metadata", "invalid_type")]
    [InlineData("\"metadata\":{\"k\":7}", "Invalid type for 'metadata.k': expected a string, but got an integer instead.", "metadata.k", "invalid_type")]
    [InlineData("\"top_k\":-2", "Invalid 'top_k': integer below minimum value. Expected a value >= -1, but got -2 instead.", "top_k", "integer_below_min_value")]
    [InlineData("\"min_p\":1.5", "Invalid 'min_p': decimal above maximum value. Expected a value <= 1, but got 1.5 instead.", "min_p", "decimal_above_max_value")]
    [InlineData("\"repetition_penalty\":0", "Invalid 'repetition_penalty': decimal below minimum value. Expected a value > 0, but got 0 instead.", "repetition_penalty", "decimal_below_min_value")]
    public void A_parameter_with_a_fault_is_refused_in_the_APIs_words(string members, string message, string param, string? code) =>
        Refuse(Body(members), message, param, code);

    [Fact]
    public void Metadata_is_bounded()
    {
        Accept(Body($$"""
            "metadata":{{{string.Join(',', Enumerable.Range(1, 14).Select(i => $"\"k{i}\":\"v\""))}},"{{new string('k', 64)}}":"","v":"{{new string('v', 512)}}"}
            """));
        Refuse(
            Body($$"""
                "metadata":{{{string.Join(',', Enumerable.Range(1, 17).Select(i => $"\"k{i}\":\"v\""))}}}
                """),
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with 17 properties instead.",
            "metadata",
            "object_above_max_properties");
        var key = new string('k', 70);
        Refuse(
            Body($$"""
                "metadata":{"{{key}}":"v"}
                """),
            $"Invalid property name in 'metadata': '{key}' is too long. Expected a string with maximum length 64, but got a string with length 70 instead.",
            $"metadata.{key}",
            "property_name_above_max_length");

        // Characters are code points: each of these is two UTF-16 units.
        Accept(Body($$"""
            "metadata":{"k":"{{string.Concat(Enumerable.Repeat("😀", 512))}}"}
            """));
        Refuse(
            Body($$"""
                "metadata":{"k":"{{string.Concat(Enumerable.Repeat("😀", 513))}}"}
                """),
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, but got a string with length 513 instead.",
            "metadata.k",
            "string_above_max_length");
    }

    [Fact]
    public void What_a_request_repeats_is_bounded_in_the_error()
    {
        Assert.True(Refuse(Body($"\"n\":{new string('9', 100_000)}")).Message.Length < 300);
        Assert.True(Refuse(Body($"\"service_tier\":\"{new string('9', 100_000)}\"")).Message.Length < 300);
        Assert.True(Refuse(Body($$"""
            "metadata":{"{{new string('k', 100_000)}}":""}
            """)).Param!.Length < 200);
    }

    [Fact]
    public void Values_at_their_bounds_are_read()
    {
        var least = Accept(Body("\"temperature\":0,\"top_p\":0,\"presence_penalty\":-2,\"frequency_penalty\":-2,\"n\":1,\"max_tokens\":1,\"seed\":-9223372036854775808,\"logprobs\":true,\"top_logprobs\":0,\"top_k\":-1,\"min_p\":0,\"logit_bias\":{\"0\":-100}"));
        Assert.Equal((0, 0, -2, -2), (least.Temperature, least.TopP, least.PresencePenalty, least.FrequencyPenalty));
        Assert.Equal((1, 1, long.MinValue, 0), (least.N, least.MaxTokens, least.Seed, least.TopLogprobs));
        Assert.Equal(0, least.TopK);
        Assert.Equal(-100, least.LogitBias[0]);
        var most = Accept(Body("\"temperature\":2,\"top_p\":1,\"presence_penalty\":2.0,\"frequency_penalty\":2e0,\"n\":128,\"max_completion_tokens\":2147483647,\"seed\":9223372036854775807,\"logprobs\":true,\"top_logprobs\":20,\"top_k\":40,\"min_p\":1,\"repetition_penalty\":1.1,\"logit_bias\":{\"50256\":100}"));
        Assert.Equal((2, 1, 2, 2), (most.Temperature, most.TopP, most.PresencePenalty, most.FrequencyPenalty));
        Assert.Equal((128, int.MaxValue, long.MaxValue, 20), (most.N, most.MaxTokens, most.Seed, most.TopLogprobs));
        Assert.Equal((40, 1.0, 1.1), (most.TopK, most.MinP, most.RepetitionPenalty));
    }

    [Fact]
    public void What_is_absent_has_its_default()
    {
        var request = Accept(Conversation(RequestReading.Messages));
        Assert.Equal((false, false, false, 1, 0), (request.Stream, request.IncludeUsage, request.Logprobs, request.N, request.TopLogprobs));
        Assert.Equal((null, null, null, null), (request.MaxTokens, request.Temperature, request.TopP, request.Seed));
        Assert.Equal((0.0, 0.0, null, null), (request.PresencePenalty, request.FrequencyPenalty, request.User, request.ServiceTier));
        Assert.Empty(request.Stop);
        Assert.Empty(request.LogitBias);
        Assert.Empty(request.Metadata);
    }

    [Theory]
    [InlineData("\"max_tokens\":5,\"max_completion_tokens\":9", 9)]
    [InlineData("\"max_completion_tokens\":5,\"max_tokens\":9", 5)]
    [InlineData("\"max_completion_tokens\":null,\"max_tokens\":9", 9)]
    public void The_newer_name_of_the_token_limit_wins(string members, int expected) => Assert.Equal(expected, Accept(Body(members)).MaxTokens);

    [Theory]
    [InlineData("\"END\"", "END")]
    [InlineData("[\"a\",\"b\",\"c\",\"d\"]", "a|b|c|d")]
    [InlineData("null", "")]
    [InlineData("\"\"", "")]
    [InlineData("[\"\",\"a\"]", "a")]
    public void Stop_is_one_string_or_up_to_four_and_empty_ones_are_dropped(string stop, string expected) =>
        Assert.Equal(expected, string.Join('|', Accept(Body($"\"stop\":{stop}")).Stop));

    [Fact]
    public void Stop_sequences_are_bounded()
    {
        Accept(Body($"\"stop\":\"{new string('s', ProtocolLimits.StopSequenceLengthMax)}\""));
        Assert.Equal("stop[0]", Refuse(Body($"\"stop\":[\"{new string('s', ProtocolLimits.StopSequenceLengthMax + 1)}\"]")).Param);
    }

    [Theory]
    [InlineData("null", false)]
    [InlineData("{}", false)]
    [InlineData("{\"include_usage\":null}", false)]
    [InlineData("{\"include_usage\":false,\"include_obfuscation\":true}", false)]
    [InlineData("{\"include_usage\":true,\"include_obfuscation\":false,\"other\":1}", true)]
    public void Stream_options_say_whether_usage_is_wanted(string options, bool expected) =>
        Assert.Equal(expected, Accept(Body($"\"stream\":true,\"stream_options\":{options}")).IncludeUsage);

    [Theory]
    [InlineData("auto", "default")]
    [InlineData("default", "default")]
    [InlineData("flex", "flex")]
    [InlineData("fast", "priority")]
    public void The_service_tier_is_kept_and_resolved(string tier, string answered)
    {
        var request = Accept(Body($"\"service_tier\":\"{tier}\""));
        Assert.Equal((tier, answered), (request.ServiceTier, request.EffectiveServiceTier));
    }

    [Fact]
    public void User_and_metadata_are_kept()
    {
        var request = Accept(Body("\"user\":\"ann\",\"metadata\":{\"a\":\"b\",\"ü\":\"😀\"}"));
        Assert.Equal("ann", request.User);
        Assert.Equal([("a", "b"), ("ü", "😀")], request.Metadata.Select(pair => (pair.Key, pair.Value)));
    }
}
