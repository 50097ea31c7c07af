using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Metering;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Answers;

/// <summary>
/// Makes answers, whoever reads them. An answer of the local engine may be made in several productions: each ends in a suspension, or in
/// the end of the
/// answer.
/// </summary>
internal sealed class AnswerProducer(
    AttemptLoop loop, ServerState server, TimeProvider time, AnswerAccounting accounting, ReasoningSeal? seal = null)
{
    /// <summary>Runs until the answer has ended or is suspended; never throws.</summary>
    /// <param name="answer">To be produced.</param>
    /// <param name="attempt">What is asked, with the answer's <see cref="Answer.Production"/>.</param>
    /// <param name="route">Of the model that is asked for.</param>
    /// <param name="configuration">Held already, and released here.</param>
    public async Task RunAsync(Answer answer, Attempt attempt, Route route, HubSnapshot configuration)
    {
        try
        {
            var isWritten = !accounting.IsStrict || attempt.Record.Hold is null || await accounting.FlushAsync() || accounting.ServesUnwritten;
            if (isWritten) await loop.RunAsync(attempt, route);
            else attempt.Output.Fail(LimitErrors.LedgerUnavailable());
        }
        finally
        {
            await CloseAsync(answer, attempt.Production!, configuration);
        }
    }

    /// <summary>
    /// Sees to it that somebody makes the answer, or that it has ended. To be called by somebody who has a reader or a hold.
    /// </summary>
    /// <param name="answer">May be suspended, or about to be.</param>
    /// <param name="configuration">Whose models are used.</param>
    /// <returns>Why it can't be continued; then it stays suspended.</returns>
    public async Task<ApiError?> ContinueAsync(Answer answer, HubSnapshot configuration)
    {
        if (answer.TryTakeTurn(out var stopped) is not { } turn) return null;
        if (stopped is null) return await turn.Task;
        ApiError? error = ApiErrors.ServerError();
        try
        {
            await stopped;
            error = answer.TakeUp() is var (from, production) ? await BeginAsync(answer, from, production, configuration) : null;
        }
        finally
        {
            answer.EndTurn(error);
        }
        return error;
    }

    private async Task<ApiError?> BeginAsync(Answer answer, AnswerSnapshot from, Production production, HubSnapshot configuration)
    {
        ApiError? error = ApiErrors.ServerError();
        try
        {
            return error = await TryBeginAsync(answer, from, production, configuration);
        }
        finally
        {
            if (error is not null)
            {
                answer.SetSuspended(from);
                production.Close();
            }
        }
    }

    private async Task<ApiError?> TryBeginAsync(Answer answer, AnswerSnapshot from, Production production, HubSnapshot configuration)
    {
        if (server.IsEnding) return ServerState.StoppingError;
        if (configuration.Router.FindLocal(from.ModelId) is not { } upstream) return ApiErrors.ModelNotFound(from.ModelName);
        var attempt = from.TryAsk(answer.Generation, answer.Owner, answer.Record, answer.CreateWriter(), production, seal, time);
        if (attempt is null || answer.Log.EventCount != from.EventCount) return ApiErrors.ContinuationDiverged();
        // Each hub's ledger calls people by names of its own.
        if (attempt.Record.Hold is { Subject: null } hold) hold.Subject = accounting.SubjectOf(attempt.Outline.User);
        // Whoever asks holds it already, so that it can't be gone.
        configuration.TryHold();
        var isBegun = false;
        try
        {
            var result = await upstream.RunAsync(attempt);
            isBegun = result.Outcome != Telemetry.AttemptOutcome.Failed;
            if (!isBegun) return result.Error;
            answer.Record.CountContinued();
        }
        catch (OperationCanceledException) when (answer.Generation.Cancellation.IsCancellationRequested)
        {
            CancelledEnd.Write(attempt);
            isBegun = true;
        }
        finally
        {
            if (isBegun) _ = CloseAsync(answer, production, configuration);
            else configuration.Release();
        }
        return null;
    }

    // When the production is over.
    private static async Task CloseAsync(Answer answer, Production production, HubSnapshot configuration)
    {
        await Waits.FirstAsync(answer.Log.WhenEnded, production.Suspended);
        configuration.Release();
        if (answer.Log.End is null && production.Suspended.IsCompletedSuccessfully)
        {
            // One that must not be kept ends with it.
            if (answer.Owner.Retention != Retention.Off) answer.Record.CountSuspended();
            answer.SetSuspended(await production.Suspended);
        }
        else
        {
            answer.End();
        }
        production.Close();
    }
}
