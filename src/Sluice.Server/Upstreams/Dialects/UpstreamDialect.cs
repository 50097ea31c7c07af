using System.Buffers;
using System.Net.Http.Headers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;

namespace Sluice.Server.Upstreams.Dialects;

/// <summary>What the APIs of upstream servers have each in their own way; all else is one path for all of them. One per server; thread-safe.</summary>
internal abstract class UpstreamDialect
{
    /// <summary>Where requests go.</summary>
    public abstract Uri Endpoint { get; }

    /// <summary>Where requests of a door go that the API has too, beside its own dialect; null for one that it hasn't.</summary>
    public virtual Uri? FindNative(AnswerDialect door) => null;

    /// <summary>Where the list of models is, for a question that costs nothing.</summary>
    public abstract Uri ModelsEndpoint { get; }

    /// <summary>Where the tokens of a prompt are counted; null where nothing counts them.</summary>
    public virtual Uri? CountEndpoint => null;

    /// <summary>By OpenTelemetry's list of providers.</summary>
    public abstract string Provider { get; }

    /// <summary>The dialect that it speaks, by <see cref="AnswerDialect.Name"/>.</summary>
    public virtual string Wire => ChatDialect.Instance.Name;

    /// <summary>Whether it gets reasoning back that only it can read, and so may refuse it.</summary>
    public bool TakesReasoning => Wire != ChatDialect.Instance.Name;

    /// <summary>The model's name there.</summary>
    public abstract string Model { get; }

    public static UpstreamDialect Create(UpstreamOptions options, string modelId) => options.Kind switch
    {
        UpstreamKind.OpenAI => new OpenAIDialect(options, modelId),
        UpstreamKind.Azure => new AzureDialect(options, modelId),
        UpstreamKind.Anthropic => new AnthropicDialect(options, modelId),
        UpstreamKind.Responses => new ResponsesUpstreamDialect(options, modelId),
        _ => throw new ArgumentException($"Unknown kind of upstream: {options.Kind}.", nameof(options)),
    };

    /// <summary>Adds the key and what else the API wants to be told in every request; configured headers replace these.</summary>
    public abstract void AddHeaders(HttpRequestHeaders headers);

    /// <summary>Makes the body.</summary>
    /// <param name="attempt">What the client asks, and how it wrote it.</param>
    /// <param name="wish">How tokens are asked for.</param>
    /// <param name="origin">Names this server and model in reasoning that it wants back; empty leaves out all reasoning, because it has refused some.</param>
    /// <param name="output">Receives the body; of no use after an error.</param>
    /// <returns>A 400 for what the API can't be asked; null otherwise.</returns>
    public abstract ApiError? WriteBody(Attempt attempt, StreamWish wish, string origin, IBufferWriter<byte> output);

    /// <summary>Makes the body of a question for the tokens of a prompt, where there is a <see cref="CountEndpoint"/>.</summary>
    /// <param name="question">What is counted.</param>
    /// <param name="origin">As for <see cref="WriteBody"/>.</param>
    /// <param name="output">Receives the body; of no use after an error.</param>
    /// <returns>A 400 for what the API can't be asked; null otherwise.</returns>
    public virtual ApiError? WriteCountBody(TokenQuestion question, string origin, IBufferWriter<byte> output) => throw new NotSupportedException();

    /// <summary>What makes the client's events of the events of one answer.</summary>
    public abstract AnswerRelay CreateRelay(Attempt attempt, RelayOptions answer);

    /// <summary>Whether its answers are not what the client gets: then they are always asked for as streams.</summary>
    public bool Translates(Attempt attempt) => (attempt.Dialect.Name != Wire && FindNative(attempt.Dialect) is null) || attempt.Repeats is not null;

    /// <summary>Where a request goes.</summary>
    /// <param name="door">What the client speaks.</param>
    public Uri EndpointOf(AnswerDialect door) => FindNative(door) ?? Endpoint;

    private protected ApiError? WriteChatBody(Attempt attempt, StreamWish wish, string model, string? maxTokens, IBufferWriter<byte> output)
    {
        if (FindNative(attempt.Dialect) is not null)
        {
            var isDropped = attempt.Outline.IsStream && wish == StreamWish.None;
            UpstreamRequest.Write(attempt.Body.Span, model, wish == StreamWish.WithUsage, isDropped, output);
            return null;
        }

        // A body that goes on from a beginning is the hub's own.
        var body = attempt.Body;
        var isChat = attempt.Dialect is ChatDialect;
        if (!isChat && !attempt.Client.TryTranslate(NeutralForm.ChatServer, out body, out var error)) return error;
        var dropsStream = (attempt.Outline.IsStream || !isChat) && wish == StreamWish.None;
        UpstreamRequest.Write(body.Span, model, wish == StreamWish.WithUsage, dropsStream, output, maxTokens);
        return null;
    }

    private protected AnswerRelay CreateChatRelay(Attempt attempt, RelayOptions answer) => attempt.Dialect is ChatDialect || FindNative(attempt.Dialect) is not null
        ? attempt.Dialect.CreateRelay(answer)
        : new ChunkTranslation(answer, attempt.CreateWriter(attempt.HeadAt(answer.Created)));
}
