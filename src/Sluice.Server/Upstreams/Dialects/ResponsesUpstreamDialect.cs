using System.Buffers;
using System.Net.Http.Headers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Responses.Upstream;
using Sluice.Server.Configuration;

namespace Sluice.Server.Upstreams.Dialects;

/// <summary>OpenAI's Responses API, for clients of any door.</summary>
internal sealed class ResponsesUpstreamDialect(UpstreamOptions options, string modelId) : UpstreamDialect
{
    public override string Wire => "responses";

    public override Uri Endpoint { get; } = new(options.Url + "/responses");

    public override Uri ModelsEndpoint { get; } = new(options.Url + "/models");

    public override Uri? CountEndpoint { get; } = new(options.Url + "/responses/input_tokens");

    public override string Provider => "openai";

    public override string Model { get; } = options.Model ?? modelId;

    public override void AddHeaders(HttpRequestHeaders headers)
    {
        if (options.ApiKey is { } key) headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    public override ApiError? WriteBody(Attempt attempt, StreamWish wish, string origin, IBufferWriter<byte> output)
    {
        var client = attempt.Client;
        var responses = new ResponsesOptions(Model) { IsStream = wish != StreamWish.None, Origin = origin, Seal = client.Seal };
        if (!Translates(attempt))
        {
            ResponsesPassedRequest.Write(attempt.Body.Span, responses, output);
            return null;
        }
        if (!client.TryRead(FormFor(origin), out var neutral, out var request, out var error)) return error;
        return ResponsesRequestWriter.Write(attempt.Dialect is ChatDialect ? attempt.Body : neutral, request, responses, output);
    }

    public override ApiError? WriteCountBody(TokenQuestion question, string origin, IBufferWriter<byte> output)
    {
        var client = question.Client;
        var responses = new ResponsesOptions(Model) { IsStream = false, Origin = origin, Seal = client.Seal };
        var body = new ArrayBufferWriter<byte>(client.Body.Length + 128);
        if (client.Dialect.Name == Wire)
        {
            ResponsesPassedRequest.Write(client.Body.Span, responses, body);
        }
        else
        {
            if (!client.TryRead(FormFor(origin), out var neutral, out var request, out var error)) return error;
            if (ResponsesRequestWriter.Write(neutral, request, responses, body) is { } refused) return refused;
        }
        ResponsesPassedRequest.WriteCounted(body.WrittenSpan, output);
        return null;
    }

    public override AnswerRelay CreateRelay(Attempt attempt, RelayOptions answer)
    {
        if (!Translates(attempt)) return new ResponsesRelay(answer, () => new ResponsesTranslation(answer, CreateWriter(attempt, answer), []));
        // What can't be read has been refused before.
        var stops = attempt.Client.TryRead(FormFor(answer.Origin), out _, out var request, out _) ? request.Stop : [];
        return new ResponsesTranslation(answer, CreateWriter(attempt, answer), stops);
    }

    private static DeltaWriter CreateWriter(Attempt attempt, RelayOptions answer) =>
        // What comes as reasoning is what the API says about it.
        attempt.CreateWriter(attempt.HeadAt(answer.Created) with { ReasoningIsSummary = true });

    private static NeutralForm FormFor(string origin) => NeutralForm.Translation with { Origin = origin };
}
