using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Answers;
using Sluice.Server.Storage;

namespace Sluice.Server.Upstreams;

// As bytes for a store: JSON, tokens in base64.
internal sealed partial record AnswerSnapshot
{
    /// <summary>Everything but the request itself, which the store has.</summary>
    public ReadOnlyMemory<byte> Write()
    {
        var output = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(output);
        writer.WriteStartObject();
        writer.WriteString("model"u8, ModelId);
        writer.WriteString("name"u8, ModelName);
        writer.WriteNumber("created"u8, Created);
        writer.WriteString("rendered"u8, RenderedAt.ToString("O", CultureInfo.InvariantCulture));
        writer.WriteNumber("seed"u8, Seed);
        writer.WriteNumber("events"u8, EventCount);
        if (Usage is { } usage)
        {
            writer.WriteStartArray("usage"u8);
            writer.WriteNumberValue(usage.PromptTokens);
            writer.WriteNumberValue(usage.CachedTokens);
            writer.WriteNumberValue(usage.CompletionTokens);
            writer.WriteNumberValue(usage.ReasoningTokens);
            writer.WriteEndArray();
        }
        if (Progress is { } progress)
        {
            writer.WriteString("identity"u8, progress.ModelIdentity);
            writer.WriteNumber("prompt"u8, progress.PromptDigest);
            writer.WriteStartArray("choices"u8);
            foreach (var choice in progress.Choices) Write(writer, choice);
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenMemory;
    }

    /// <summary>Null where there is none, or another version has written it that meant something else.</summary>
    public static AnswerSnapshot? TryRead(StoredRequest request)
    {
        if (request.Progress is null) return null;
        try
        {
            using var document = JsonDocument.Parse(request.Progress);
            var root = document.RootElement;
            return new AnswerSnapshot
            {
                ModelId = root.GetProperty("model"u8).GetString()!,
                ModelName = root.GetProperty("name"u8).GetString()!,
                Body = request.Body,
                Created = root.GetProperty("created"u8).GetInt64(),
                RenderedAt = DateTimeOffset.ParseExact(root.GetProperty("rendered"u8).GetString()!, "O", CultureInfo.InvariantCulture),
                Seed = root.GetProperty("seed"u8).GetUInt64(),
                EventCount = root.GetProperty("events"u8).GetInt64(),
                Usage = root.TryGetProperty("usage"u8, out var usage)
                    ? new AnswerUsage(usage[0].GetInt32(), usage[1].GetInt32(), usage[2].GetInt32(), usage[3].GetInt32())
                    : null,
                Progress = root.TryGetProperty("choices"u8, out var choices) ? ReadProgress(root, choices) : null,
            };
        }
        catch (Exception exception) when (exception
            is JsonException or KeyNotFoundException or FormatException or InvalidOperationException or IndexOutOfRangeException)
        {
            return null;
        }
    }

    private static void Write(Utf8JsonWriter writer, ChoiceProgress choice)
    {
        writer.WriteStartObject();
        writer.WriteBase64String("tokens"u8, MemoryMarshal.AsBytes<int>(choice.Tokens.ToArray()));
        writer.WriteNumber("digest"u8, choice.OutputDigest);
        if (choice.Finish is { } finish) writer.WriteNumber("finish"u8, (int)finish);
        writer.WriteBoolean("is_call_forced"u8, choice.IsCallForced);
        writer.WriteNumber("cached"u8, choice.CachedPromptTokens);
        writer.WriteNumber("reached"u8, choice.ReachedPromptTokens);
        writer.WriteNumber("echoed"u8, choice.EchoedCount);
        writer.WriteStartArray("held"u8);
        foreach (var held in choice.Held)
        {
            writer.WriteStartArray();
            Write(writer, held.Token, held.Logprob);
            foreach (var top in held.Top) Write(writer, top.Token, top.Logprob);
            writer.WriteEndArray();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    // The bits of the number, for it has to be the same one.
    private static void Write(Utf8JsonWriter writer, int token, float logprob)
    {
        writer.WriteNumberValue(token);
        writer.WriteNumberValue(BitConverter.SingleToInt32Bits(logprob));
    }

    private static GenerationProgress ReadProgress(JsonElement root, JsonElement choices) =>
        new(
            root.GetProperty("identity"u8).GetString()!,
            root.GetProperty("prompt"u8).GetUInt64(),
            [.. choices.EnumerateArray().Select(choice => ReadChoice(choice, root))]);

    private static ChoiceProgress ReadChoice(JsonElement choice, JsonElement root) => new()
    {
        Tokens = MemoryMarshal.Cast<byte, int>(choice.GetProperty("tokens"u8).GetBytesFromBase64()).ToArray(),
        OutputDigest = choice.GetProperty("digest"u8).GetUInt64(),
        Finish = choice.TryGetProperty("finish"u8, out var finish) ? (FinishReason)finish.GetInt32() : null,
        IsCallForced = choice.GetProperty("is_call_forced"u8).GetBoolean(),
        CachedPromptTokens = ReadCount("cached"u8, choice, root),
        ReachedPromptTokens = ReadCount("reached"u8, choice, root),
        EchoedCount = ReadCount("echoed"u8, choice, root),
        Held = [.. choice.GetProperty("held"u8).EnumerateArray().Select(ReadHeld)],
    };

    // Files of before have one prompt, whose counts stand beside its choices, and echo nothing.
    private static int ReadCount(ReadOnlySpan<byte> name, JsonElement choice, JsonElement root) =>
        choice.TryGetProperty(name, out var count) || root.TryGetProperty(name, out count) ? count.GetInt32() : 0;

    private static TokenLogprob ReadHeld(JsonElement held)
    {
        var numbers = held.EnumerateArray().Select(static number => number.GetInt32()).ToArray();
        var top = new TokenAlternative[(numbers.Length / 2) - 1];
        for (var i = 0; i < top.Length; i++)
            top[i] = new TokenAlternative(numbers[(2 * i) + 2], default, BitConverter.Int32BitsToSingle(numbers[(2 * i) + 3]));
        return new TokenLogprob(numbers[0], default, BitConverter.Int32BitsToSingle(numbers[1]), top);
    }
}
