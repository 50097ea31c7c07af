using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Serving;

namespace Sluice.Server.Answers;

/// <summary>
/// Goes on at the start with the answers of an earlier process that were to go on without a reader: background responses, for one. Nobody may
/// ask for them for hours.
/// </summary>
internal sealed partial class UnattendedAnswers(AnswerTable answers, AnswerProducer producer, Hub hub, ILogger<UnattendedAnswers> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        // The table has been filled before this, and a model may take long to load.
        foreach (var answer in answers.FindUnattended()) _ = ContinueAsync(answer);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // What can't go on stays suspended, and whoever asks for it is told why.
    private async Task ContinueAsync(Answer answer)
    {
        // Off the thread that starts the host.
        await Task.Yield();
        if (!answer.TryHold()) return;
        var configuration = hub.Hold();
        try
        {
            if (await producer.ContinueAsync(answer, configuration) is { } error) LogStays(answer.Id, error.Message);
        }
#pragma warning disable CA1031 // Nobody waits for this; the answer is as it was.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogStays(answer.Id, error.Message);
        }
        finally
        {
            configuration.Release();
            answer.Release();
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "{Id} was to go on without a reader, and can't: {Reason}")]
    private partial void LogStays(string id, string reason);
}
