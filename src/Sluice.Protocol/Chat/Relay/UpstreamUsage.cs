using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// What an upstream says that an answer has used, in OpenAI's names or others'. The last statement counts, but zeros never take the place of
/// counts. For one answer and one thread at a time.
/// </summary>
internal sealed class UpstreamUsage
{
    private readonly JsonObjectText _object = new();
    private readonly JsonObjectText _details = new();

    /// <summary>Whether there are counts.</summary>
    public bool IsKnown => !Json.IsEmpty;

    /// <summary>The counts as an object in OpenAI's names; what else the upstream says stays in it.</summary>
    public ReadOnlyMemory<byte> Json { get; private set; }

    /// <summary>The same as numbers.</summary>
    public AnswerUsage Counts { get; private set; }

    /// <summary>Takes a statement.</summary>
    /// <param name="json">A text.</param>
    /// <param name="start">Offset of the object in it.</param>
    /// <returns>Whether it has counts that make sense, also where they are not taken.</returns>
    public bool Read(ReadOnlySpan<byte> json, int start)
    {
        var end = _object.Read(json, start);
        // One that wasn't asked for may be null in every chunk but the last; some fill it with zeros.
        var prompt = Count(json, "prompt_tokens"u8) ?? Count(json, "input_tokens"u8) ?? Count(json, "prompt_eval_count"u8) ?? Count(json, "promptTokenCount"u8);
        var completion = Count(json, "completion_tokens"u8) ?? Count(json, "output_tokens"u8) ?? Count(json, "eval_count"u8)
            ?? Count(json, "candidatesTokenCount"u8);
        var total = Count(json, "total_tokens"u8) ?? Count(json, "totalTokenCount"u8);
        // Each follows from the other two.
        completion ??= total - prompt;
        prompt ??= total - completion;
        if (prompt is not >= 0 || completion is not >= 0) return false;
        if (prompt + completion == 0 && IsKnown) return true;
        var counts = new AnswerUsage(
            Clamp(prompt.Value), Detail(json, "prompt_tokens_details"u8, "cached_tokens"u8) ?? Detail(json, "input_tokens_details"u8, "cached_tokens"u8) ?? Top(json),
            Clamp(completion.Value),
            Detail(json, "completion_tokens_details"u8, "reasoning_tokens"u8) ?? Detail(json, "output_tokens_details"u8, "reasoning_tokens"u8) ?? 0);
        if (Counts is { CompletionTokens: > 0 } before && counts.CompletionTokens == 0 && counts.PromptTokens <= before.PromptTokens) return true;
        Counts = counts;
        Json = Write(json, start, end, prompt.Value, completion.Value, total ?? prompt.Value + completion.Value);
        return true;
    }

    // DeepSeek's name for what is a detail elsewhere.
    private int Top(ReadOnlySpan<byte> json) => Clamp(Count(json, "prompt_cache_hit_tokens"u8) ?? 0);

    private ReadOnlyMemory<byte> Write(ReadOnlySpan<byte> json, int start, int end, long prompt, long completion, long total)
    {
        SetCount(json, "prompt_tokens"u8, prompt);
        SetCount(json, "completion_tokens"u8, completion);
        SetCount(json, "total_tokens"u8, total);
        if (!_object.IsEdited) return json[start..end].ToArray();
        var output = new ArrayBufferWriter<byte>();
        _object.WriteTo(output, json);
        return output.WrittenMemory;
    }

    private void SetCount(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name, long count)
    {
        var member = _object.Find(json, name);
        if (_object.Integer(json, member) == count) return;
        _object.Set(
            member, System.Text.Encoding.ASCII.GetBytes($"\"{System.Text.Encoding.ASCII.GetString(name)}\""),
            System.Text.Encoding.ASCII.GetBytes(count.ToString(CultureInfo.InvariantCulture)));
    }

    private int? Detail(ReadOnlySpan<byte> json, ReadOnlySpan<byte> group, ReadOnlySpan<byte> name)
    {
        var member = _object.Find(json, group);
        if (_object.TypeOf(member) != JsonTokenType.StartObject) return null;
        _details.Read(json, _object.ValueStart(member));
        return Number(json, _details, name) is { } count ? Clamp(count) : null;
    }

    private long? Count(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) => Number(json, _object, name);

    // 12.0 is a count too.
    private static long? Number(ReadOnlySpan<byte> json, JsonObjectText members, ReadOnlySpan<byte> name)
    {
        var member = members.Find(json, name);
        if (members.TypeOf(member) != JsonTokenType.Number) return null;
        var reader = new Utf8JsonReader(members.Value(json, member));
        reader.Read();
        if (reader.TryGetInt64(out var value)) return value;
        return reader.TryGetDouble(out var number) && number is >= 0 and < long.MaxValue && number == Math.Floor(number) ? (long)number : null;
    }

    private static int Clamp(long count) => (int)long.Clamp(count, 0, int.MaxValue);
}
