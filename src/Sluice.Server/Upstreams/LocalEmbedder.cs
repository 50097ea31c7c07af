using System.Buffers;
using Microsoft.Extensions.Logging;
using Sluice.Inference.Embeddings;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Ollama;
using Sluice.Protocol.Rerank;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Telemetry;
using Sluice.Server.Transport;

namespace Sluice.Server.Upstreams;

/// <summary>Embeds texts, or ranks them, with a model of the hub's own.</summary>
internal sealed partial class LocalEmbedder(LocalModel model, LoadedModels<EmbeddingModel> memory, ILogger<LocalEmbedder> logger) : IUpstream
{
    public UpstreamIdentity Identity { get; } = new(UpstreamIdentity.Local, Tags.Hub, model.Id);

    public bool Continues => false;

    public async Task<AttemptResult> RunAsync(Attempt attempt)
    {
        await ReactorThread.LeaveAsync();
        if (attempt.Dialect is not ObjectDialect) return Refuse(ApiErrors.OnlyEmbeds(attempt.ModelName));
        var (lease, failure) = await memory.AcquireAsync(model, attempt.Cancellation);
        if (lease is null) return AttemptResult.Failed(FailureKind.Rejected, failure!);
        using (lease)
        {
            var engine = lease.Engine;
            var isRanked = attempt.Dialect is RerankDialect;
            if (isRanked != engine.IsReranker) return Refuse(isRanked ? ApiErrors.NotARerankModel(attempt.ModelName) : ApiErrors.OnlyRanks(attempt.ModelName));
            return isRanked ? await RankAsync(attempt, engine) : await EmbedAsync(attempt, engine);
        }
    }

    private async Task<AttemptResult> EmbedAsync(Attempt attempt, EmbeddingModel engine)
    {
        if (!EmbeddingsRequest.TryRead(attempt.Body, out var request, out var error)) return Refuse(error);
        if (request.Dimensions > engine.Dimensions) return Refuse(ApiErrors.InvalidDimensions(engine.Dimensions));
        var texts = new List<IReadOnlyList<int>>(request.Inputs.Count);
        foreach (var input in request.Inputs)
        {
            var tokens = Tokenize(engine, input);
            if (request.Truncates ?? attempt.Dialect is OllamaEmbedDialect) Truncate(tokens, engine);
            if (tokens.Count > engine.Model.ContextLength) return Refuse(ApiErrors.InputTooLong(engine.Model.ContextLength, tokens.Count, texts.Count));
            if (tokens.Exists(token => token >= engine.Model.VocabularySize)) return Refuse(ApiErrors.InvalidEmbeddingInput($"element {texts.Count} has a token that the model doesn't have"));
            texts.Add(tokens);
        }
        return await ComputeAsync(attempt, engine, texts, (output, vectors, count) => EmbeddingsWriter.Write(
            output, attempt.ModelName, [.. vectors.Select(vector => Shorten(vector, request.Dimensions))], request.IsBase64, count));
    }

    private async Task<AttemptResult> RankAsync(Attempt attempt, EmbeddingModel engine)
    {
        if (!RerankRequest.TryRead(attempt.Body, out var request, out var error)) return Refuse(error);
        var pairs = new List<IReadOnlyList<int>>(request.Documents.Count);
        foreach (var document in request.Documents)
        {
            var tokens = engine.EncodePair(request.Query, document);
            if (tokens.Count > engine.Model.ContextLength) return Refuse(ApiErrors.PairTooLong(engine.Model.ContextLength, tokens.Count, pairs.Count));
            pairs.Add(tokens);
        }
        return await ComputeAsync(attempt, engine, pairs, (output, scores, count) =>
            RerankWriter.Write(output, attempt.ModelName, request, [.. scores.Select(static score => score[0])], count));
    }

    private async Task<AttemptResult> ComputeAsync(
        Attempt attempt, EmbeddingModel engine, List<IReadOnlyList<int>> texts, Action<ArrayBufferWriter<byte>, float[][], long> write)
    {
        var count = texts.Sum(static tokens => (long)tokens.Count);
        if (attempt.Record.Hold is { } hold && !hold.TryReserve(count, 0)) return Refuse(LimitErrors.Exhausted(hold.Cut));
        float[][] vectors;
        try
        {
            // It keeps its threads busy; nobody waits on this one meanwhile.
            vectors = await Task.Run(() => engine.Embed(texts, cancellation: attempt.Cancellation), attempt.Cancellation);
        }
        catch (ArithmeticException exception)
        {
            LogFailed(exception, attempt.Generation.Id);
            return AttemptResult.Failed(FailureKind.Rejected, ApiErrors.ServerError($"The model gave no numbers: {exception.Message}"));
        }
        attempt.Cancellation.ThrowIfCancellationRequested();
        var json = new ArrayBufferWriter<byte>();
        write(json, vectors, count);
        // One object, and a race for it has no loser that anybody sees.
        if (!attempt.Commit.TryPass(attempt)) throw new OperationCanceledException("Another attempt was faster.", attempt.Cancellation);
        attempt.Output.AddContent();
        attempt.Output.AppendQuietly(json.WrittenSpan);
        attempt.Output.Publish();
        attempt.Complete(new AnswerUsage((int)long.Min(count, int.MaxValue), 0, 0), isEstimated: false);
        return AttemptResult.Answered;
    }

    private static List<int> Tokenize(EmbeddingModel engine, EmbeddingInput input)
    {
        var (tokenizer, tokens) = (engine.Tokenizer, new List<int>());
        if (input.Tokens is { } given)
        {
            tokens.AddRange(given);
            return tokens;
        }
        if (tokenizer is { AddsBeginOfSequence: true, BeginOfSequenceToken: { } begin }) tokens.Add(begin);
        tokenizer.Encode(input.Text!, parseSpecial: false, [], tokens);
        if (tokenizer is { AddsEndOfSequence: true, EndOfSequenceToken: { } end }) tokens.Add(end);
        return tokens;
    }

    // What closes a text stays.
    private static void Truncate(List<int> tokens, EmbeddingModel engine)
    {
        var excess = tokens.Count - engine.Model.ContextLength;
        if (excess <= 0) return;
        var closing = engine.Tokenizer is { AddsEndOfSequence: true, EndOfSequenceToken: { } end } && tokens[^1] == end ? 1 : 0;
        tokens.RemoveRange(tokens.Count - closing - excess, excess);
    }

    // Models that are made for it have the most in their first values; what is left is brought to length 1 again.
    private static float[] Shorten(float[] vector, int? dimensions)
    {
        if (dimensions is not { } count || count == vector.Length) return vector;
        var shorter = vector[..count];
        var length = Math.Sqrt(shorter.Sum(static value => (double)value * value));
        if (length > 0) for (var i = 0; i < count; i++) shorter[i] = (float)(shorter[i] / length);
        return shorter;
    }

    private static AttemptResult Refuse(ApiError error) => AttemptResult.Failed(FailureKind.Refused, error);

    [LoggerMessage(1, LogLevel.Error, "{Id}: the embedding model gave no numbers.")]
    private partial void LogFailed(Exception error, string id);
}
