using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Ollama;

/// <summary>Writes what a model says as lines of Ollama's API. A call comes in one piece, because clients read its arguments as an object.</summary>
/// <param name="head">What was asked.</param>
/// <param name="isGenerate">Whether the text stands at the top in place of in a message.</param>
internal sealed class OllamaDeltaWriter(AnswerHead head, bool isGenerate) : DeltaWriter
{
    private readonly ArrayBufferWriter<byte> _input = new();
    private readonly bool _hidesThinking = OllamaThinking.IsOff(head.Body.Span);
    private byte[] _start = StartOf(head.Model);
    private TimeSpan _firstContent = head.FirstContent ?? head.Elapsed?.Invoke() ?? default;
    private (string Id, string Name)? _call;
    private int _callCount;
    private int _passedCalls;
    private AnswerFinish? _finish;

    /// <summary>Whether somebody has ended the answer: its last line says so.</summary>
    public bool IsCancelled { get; init; }

    public override void SetModel(string model) => _start = StartOf(model);

    // Nothing is said before there is something to say.
    public override void Begin(IEventOutput output, bool isText) => _firstContent = head.Elapsed?.Invoke() ?? default;

    public override void Restore(EventBuffer past)
    {
        for (var i = 0; i < past.Count; i++)
        {
            using var document = OllamaLine.Parse(past[i]);
            if (OllamaLine.HasCalls(document.RootElement)) _callCount += OllamaLine.CallsOf(document.RootElement).GetArrayLength();
        }
    }

    public override void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs)
    {
        if (utf8.IsEmpty && logprobs.IsEmpty) return;
        WriteCall(output);
        Start(output);
        JsonText.WriteRaw(output, isGenerate ? ",\"response\":\""u8 : ",\"message\":{\"role\":\"assistant\",\"content\":\""u8);
        JsonText.WriteEscaped(output, utf8);
        JsonText.WriteRaw(output, isGenerate ? "\""u8 : "\"}"u8);
        if (head.HasLogprobs)
        {
            JsonText.WriteRaw(output, ",\"logprobs\":["u8);
            LogprobText.Write(output, logprobs);
            JsonText.WriteRaw(output, "]"u8);
        }
        End(output);
    }

    public override void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
        // Who has switched it off would read it aloud.
        if (utf8.IsEmpty || _hidesThinking) return;
        Start(output);
        JsonText.WriteRaw(output, isGenerate ? ",\"response\":\"\",\"thinking\":\""u8 : ",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\""u8);
        JsonText.WriteEscaped(output, utf8);
        JsonText.WriteRaw(output, isGenerate ? "\""u8 : "\"}"u8);
        End(output);
    }

    public override void EndReasoning(IEventOutput output, int choice, ReasoningBlob blob)
    {
        // There is no place for it.
    }

    public override void Call(IEventOutput output, int choice, int call, CallKind kind, string id, string name)
    {
        WriteCall(output);
        _call = (id, name);
    }

    public override void Input(IEventOutput output, int choice, int call, CallKind kind, ReadOnlySpan<byte> utf8) => JsonText.WriteRaw(_input, utf8);

    public override void PassCall(int choice, string id, string name)
    {
        _input.ResetWrittenCount();
        _call = _passedCalls++ < _callCount ? null : (id, name);
    }

    public override void PassInput(int choice, ReadOnlySpan<byte> utf8)
    {
        if (_call is not null) JsonText.WriteRaw(_input, utf8);
    }

    public override void Finish(IEventOutput output, int choice, AnswerFinish finish)
    {
        WriteCall(output);
        _finish = finish;
    }

    public override void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        var finish = _finish ?? new AnswerFinish(head.Budget is null ? AnswerEnd.Stop : AnswerEnd.Length);
        Start(output);
        JsonText.WriteRaw(output, isGenerate ? ",\"response\":\"\""u8 : ",\"message\":{\"role\":\"assistant\",\"content\":\"\"}"u8);
        JsonText.WriteRaw(output, ",\"done\":true,\"done_reason\":\""u8);
        JsonText.WriteRaw(output, finish.End is AnswerEnd.Length or AnswerEnd.Repetition ? "length"u8 : "stop"u8);
        JsonText.WriteRaw(output, "\""u8);
        var total = head.Elapsed?.Invoke() ?? default;
        var prompt = _firstContent - head.LoadTime is var read && read > TimeSpan.Zero ? read : TimeSpan.Zero;
        WriteNumber(output, ",\"total_duration\":"u8, Nanoseconds(total));
        WriteNumber(output, ",\"load_duration\":"u8, Nanoseconds(head.LoadTime));
        WriteNumber(output, ",\"prompt_eval_count\":"u8, usage.PromptTokens);
        WriteNumber(output, ",\"prompt_eval_duration\":"u8, Nanoseconds(prompt));
        WriteNumber(output, ",\"eval_count\":"u8, usage.CompletionTokens);
        WriteNumber(output, ",\"eval_duration\":"u8, Nanoseconds(total - _firstContent));
        if ((finish.Budget ?? head.Budget) is { } budget) Encoding.UTF8.GetBytes($",\"sluice\":{{{budget.ToMembers()}}}", output);
        else if (IsCancelled) JsonText.WriteRaw(output, ",\"sluice\":{\"cancelled\":true}"u8);
        else if (finish.End == AnswerEnd.Repetition) JsonText.WriteRaw(output, ",\"sluice\":{\"repetition\":true}"u8);
        else if (isEstimated) JsonText.WriteRaw(output, ",\"sluice\":{\"estimated\":true}"u8);
        JsonText.WriteRaw(output, "}\n"u8);
        output.EndEvent();
    }

    /// <summary>The start of every line but for the time, which stands behind it.</summary>
    internal static byte[] StartOf(string model)
    {
        var start = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(start, "{\"model\":"u8);
        JsonText.WriteStringOrNull(start, model);
        JsonText.WriteRaw(start, ",\"created_at\":\""u8);
        return start.WrittenSpan.ToArray();
    }

    /// <summary>Writes a point of time as Ollama does, with its fraction.</summary>
    internal static void WriteTime(IBufferWriter<byte> output, DateTimeOffset time)
    {
        const int TextLength = 28;
        time.UtcDateTime.TryFormat(output.GetSpan(TextLength), out var written, "O", CultureInfo.InvariantCulture);
        output.Advance(written);
    }

    private void Start(IEventOutput output)
    {
        JsonText.WriteRaw(output, _start);
        WriteTime(output, head.Clock?.GetUtcNow() ?? DateTimeOffset.FromUnixTimeSeconds(head.Created));
        JsonText.WriteRaw(output, "\""u8);
    }

    private static void End(IEventOutput output)
    {
        JsonText.WriteRaw(output, ",\"done\":false}\n"u8);
        output.EndEvent();
    }

    private void WriteCall(IEventOutput output)
    {
        if (_call is not { } call) return;
        Start(output);
        JsonText.WriteRaw(output, isGenerate ? ",\"response\":\"\","u8 : ",\"message\":{\"role\":\"assistant\",\"content\":\"\","u8);
        JsonText.WriteRaw(output, "\"tool_calls\":[{\"id\":"u8);
        JsonText.WriteStringOrNull(output, call.Id);
        JsonText.WriteRaw(output, ",\"function\":{\"index\":"u8);
        JsonText.WriteInteger(output, _callCount++);
        JsonText.WriteRaw(output, ",\"name\":"u8);
        JsonText.WriteStringOrNull(output, call.Name);
        JsonText.WriteRaw(output, ",\"arguments\":"u8);
        WriteArguments(output, _input.WrittenSpan);
        JsonText.WriteRaw(output, isGenerate ? "}}]"u8 : "}}]}"u8);
        End(output);
        _call = null;
        _input.ResetWrittenCount();
    }

    // A model may have written anything, and a line must be JSON in one line.
    private static void WriteArguments(IEventOutput output, ReadOnlySpan<byte> input)
    {
        if (input.Trim(" \t\r\n"u8).IsEmpty)
        {
            JsonText.WriteRaw(output, "{}"u8);
            return;
        }
        try
        {
            var reader = new Utf8JsonReader(input, JsonText.Reading);
            using var document = JsonDocument.ParseValue(ref reader);
            if (document.RootElement.ValueKind == JsonValueKind.Object && !reader.Read())
            {
                WriteLine(output, input);
                return;
            }
        }
        catch (JsonException)
        {
            // As what it is: a text.
        }
        JsonText.WriteRaw(output, Encoding.UTF8.GetBytes(CustomInputReader.ToArguments(Encoding.UTF8.GetString(input))));
    }

    // In valid JSON a line break stands between its parts only.
    private static void WriteLine(IEventOutput output, ReadOnlySpan<byte> json)
    {
        while (json.IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and var at)
        {
            JsonText.WriteRaw(output, json[..at]);
            json = json[(at + 1)..];
        }
        JsonText.WriteRaw(output, json);
    }

    private static void WriteNumber(IEventOutput output, ReadOnlySpan<byte> name, long value)
    {
        JsonText.WriteRaw(output, name);
        JsonText.WriteInteger(output, value);
    }

    private static long Nanoseconds(TimeSpan time) => long.Max(0, time.Ticks) * TimeSpan.NanosecondsPerTick;
}
