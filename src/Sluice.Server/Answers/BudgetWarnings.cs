using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Metering;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Answers;

/// <summary>Says in the log and the metrics that a budget nears its end.</summary>
internal sealed partial class BudgetWarnings(Limiter limiter, HubMetrics metrics, ILogger<BudgetWarnings> logger) : IHostedService
{
    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        limiter.Warned = (scope, meter) =>
        {
            metrics.CountWarning(scope.Word);
            LogWarned(scope.Word, scope.Id, meter.Options.WarnPercent ?? 0, meter.Window.End);
        };
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(1, LogLevel.Warning, "A budget of the {Scope} '{Id}' is used to {Percent} %; its window ends at {End:u}.")]
    private partial void LogWarned(string scope, string id, int percent, DateTimeOffset end);
}
