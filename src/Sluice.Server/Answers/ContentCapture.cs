using System.Buffers;
using System.Diagnostics;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>
/// Texts of one request and its answer on the request's span, by OpenTelemetry's conventions for generative AI. Whether that is so is decided once,
/// before anything is written, and every setting can say no.
/// </summary>
internal sealed class ContentCapture
{
    /// <summary>The variable of OpenTelemetry's instrumentations: it can say no, and never yes.</summary>
    public const string Variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

    // Of an answer that is longer a beginning is read.
    private const int AnswerBytesMax = 4 << 20;

    private readonly Activity _span;
    private readonly int _bytesMax;
    private bool _isCut;

    private ContentCapture(Activity span, int bytesMax) => (_span, _bytesMax) = (span, bytesMax);

    /// <summary>Null where nothing is captured.</summary>
    /// <param name="options">Of the configuration; null for nobody.</param>
    /// <param name="account">Who asks.</param>
    /// <param name="retention">Of the answer: one that is not to be kept is not to be written elsewhere.</param>
    /// <param name="wish">Of the request, which may say no.</param>
    /// <param name="span">Of the request; null where nobody traces it.</param>
    /// <param name="random">Draws the sample.</param>
    /// <param name="variable">Value of <see cref="Variable"/>.</param>
    public static ContentCapture? Decide(
        ContentOptions? options, Account? account, Retention retention, ResumeWish wish, Activity? span, RandomSource random, string? variable)
    {
        if (options is null || span is not { IsAllDataRequested: true } || wish.IsContentOff || retention == Retention.Off) return null;
        if (account is not { IsNeverCaptured: false, Project: { } project } || !options.Projects.Contains(project, StringComparer.Ordinal)) return null;
        if (variable is { Length: > 0 } && (variable.Equals("NO_CONTENT", StringComparison.OrdinalIgnoreCase) || variable.Equals("false", StringComparison.OrdinalIgnoreCase))) return null;
        if (options.Sample < 1 && (random.NextUInt64() >> 11) / (double)(1UL << 53) >= options.Sample) return null;
        return new ContentCapture(span, options.BytesMax);
    }

    /// <summary>Writes what was asked.</summary>
    public void SetRequest(ReadOnlyMemory<byte> body, AnswerDialect dialect)
    {
        // Vectors and scores are no conversation.
        if (dialect is ObjectDialect) return;
        var neutral = new ArrayBufferWriter<byte>();
        var request = dialect.WriteNeutral(body, NeutralForm.Translation, neutral) is null ? neutral.WrittenMemory : body;
        // Of what the door reads and the standard hasn't nothing is to be seen.
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(request), out var document)) return;
        using (document)
        {
            using var messages = new ContentText(_bytesMax);
            using var instructions = new ContentText(_bytesMax);
            using var tools = new ContentText(_bytesMax);
            ContentMessages.AddRequest(document.RootElement, messages, instructions);
            ContentMessages.AddTools(document.RootElement, tools);
            Set("gen_ai.system_instructions", instructions);
            Set("gen_ai.input.messages", messages);
            Set("gen_ai.tool.definitions", tools);
        }
    }

    /// <summary>Writes what was answered, as far as it came. Before the span ends.</summary>
    public void SetAnswer(Answer answer)
    {
        var dialect = answer.Owner.Dialect;
        if (dialect is ObjectDialect) return;
        var fold = dialect.CreateFold(answer.Record.Clock);
        using (var reader = answer.Log.FirstEvent == 0 ? answer.Log.TryOpenReader() : null)
        {
            _isCut |= reader is null;
            var (events, bytes) = (new EventBuffer(), 0L);
            while (reader?.TryRead(events, AnswerBytesMax, events.AddEvent) == ReadOutcome.Events && fold.Error is null)
            {
                for (var i = 0; i < events.Count; i++) fold.Add(events[i]);
                bytes += events.WrittenCount;
                events.Clear();
                _isCut |= bytes > AnswerBytesMax;
                if (bytes > AnswerBytesMax) break;
            }
        }
        if (fold.Error is null)
        {
            var json = new ArrayBufferWriter<byte>();
            fold.WriteSoFar(json, new AnswerHead(answer.Id, answer.Created, answer.Model), "\"captured\":true"u8, "completed", failure: null);
            // An answer may break off in the middle of a character.
            if (JsonBody.TryParse(new ReadOnlySequence<byte>(json.WrittenMemory), out var document))
            {
                using (document)
                {
                    using var messages = new ContentText(_bytesMax);
                    ContentMessages.AddAnswer(document.RootElement, messages);
                    Set("gen_ai.output.messages", messages);
                }
            }
            else
            {
                _isCut = true;
            }
        }
        if (_isCut) _span.SetTag("sluice.content.truncated", true);
    }

    private void Set(string name, ContentText text)
    {
        _isCut |= text.IsCut;
        if (!text.IsEmpty) _span.SetTag(name, text.ToString());
    }
}
