using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>Reads the usage of a response.</summary>
internal static class ResponsesUsage
{
    /// <summary>The counts; null where there are none, or none that make sense.</summary>
    /// <param name="usage">Anything.</param>
    public static AnswerUsage? Read(JsonElement usage)
    {
        var input = Count(usage, "input_tokens"u8) ?? Count(usage, "prompt_tokens"u8);
        var output = Count(usage, "output_tokens"u8) ?? Count(usage, "completion_tokens"u8);
        if (input is not { } prompt || output is not { } completion) return null;
        usage.TryGet("input_tokens_details"u8, JsonValueKind.Object, out var read);
        usage.TryGet("output_tokens_details"u8, JsonValueKind.Object, out var written);
        return new AnswerUsage(prompt, Count(read, "cached_tokens"u8) ?? 0, completion, Count(written, "reasoning_tokens"u8) ?? 0)
        {
            CacheWrittenTokens = Count(read, "cache_write_tokens"u8) ?? 0,
        };
    }

    private static int? Count(JsonElement parent, ReadOnlySpan<byte> name) =>
        parent.TryGet(name, JsonValueKind.Number, out var value) && value.TryGetDouble(out var number) && number >= 0 ? (int)double.Min(number, int.MaxValue) : null;
}
