using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Upstreams;

/// <summary>
/// A request as the client wrote it. It is translated, read in full and held to the rules of the API only for what must understand all of
/// it: the local engine, and an upstream of another dialect. Thread-safe.
/// </summary>
/// <param name="body">As the client wrote it.</param>
/// <param name="dialect">Of the door; null for chat completions.</param>
/// <param name="seal">Of the hub; null where no reasoning is given out or taken back.</param>
internal sealed class ClientRequest(ReadOnlyMemory<byte> body, AnswerDialect? dialect = null, ReasoningSeal? seal = null)
{
    private readonly AnswerDialect _dialect = dialect ?? ChatDialect.Instance;
    private readonly Lock _lock = new();
    private readonly List<Neutral> _neutrals = [];
    private LocalRequest? _local;
    private ApiError? _localError;

    private sealed class Neutral(NeutralForm form)
    {
        public NeutralForm Form => form;

        public ReadOnlyMemory<byte> Body { get; set; }

        public ChatCompletionRequest? Request { get; set; }

        public ApiError? Error { get; set; }
    }

    public ReadOnlyMemory<byte> Body => body;

    public AnswerDialect Dialect => _dialect;

    public ReasoningSeal? Seal => seal;

    /// <summary>Reads it for the local engine, once for all attempts.</summary>
    public bool TryRead([NotNullWhen(true)] out LocalRequest? request, [NotNullWhen(false)] out ApiError? error)
    {
        lock (_lock)
        {
            if (_local is null && _localError is null)
            {
                CompletionRequest? texts = null;
                ChatCompletionRequest? chat = null;
                if ((_dialect is CompletionDialect ? body : _dialect.FindText(body)) is { } text) CompletionRequestReader.TryRead(new ReadOnlySequence<byte>(text), out texts, out _localError);
                else TryRead(NeutralForm.Engine, out _, out chat, out _localError);
                if (_localError is null) _local = new LocalRequest(chat, texts);
            }
            (request, error) = (_local, _localError);
            return request is not null;
        }
    }

    /// <summary>Brings it into the neutral form, once for all attempts that want the same.</summary>
    /// <param name="form">Who reads it; its seal is set here.</param>
    /// <param name="neutral">A chat request; where the door is chat, the body itself.</param>
    /// <param name="error">A 400 for what can't be said in that form.</param>
    public bool TryTranslate(NeutralForm form, out ReadOnlyMemory<byte> neutral, [NotNullWhen(false)] out ApiError? error)
    {
        lock (_lock)
        {
            var found = Translate(form);
            (neutral, error) = (found.Body, found.Request is null ? found.Error : null);
            return error is null;
        }
    }

    /// <summary>The same, and reads it in full.</summary>
    public bool TryRead(
        NeutralForm form, out ReadOnlyMemory<byte> neutral, [NotNullWhen(true)] out ChatCompletionRequest? request,
        [NotNullWhen(false)] out ApiError? error)
    {
        lock (_lock)
        {
            var found = Translate(form);
            if (found.Request is null && found.Error is null)
            {
                ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(found.Body), out var read, out var refused);
                (found.Request, found.Error) = (read, refused);
            }
            (neutral, request, error) = (found.Body, found.Request, found.Error);
            return request is not null;
        }
    }

    private Neutral Translate(NeutralForm form)
    {
        if (_neutrals.Find(known => known.Form == form) is { } found) return found;
        var made = new Neutral(form);
        if (_dialect is ChatDialect)
        {
            made.Body = body;
        }
        else
        {
            var output = new ArrayBufferWriter<byte>(body.Length + 256);
            made.Error = _dialect.WriteNeutral(body, form with { Seal = seal }, output);
            made.Body = output.WrittenMemory;
        }
        _neutrals.Add(made);
        return made;
    }
}
