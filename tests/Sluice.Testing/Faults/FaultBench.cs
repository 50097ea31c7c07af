using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Testing.Faults;

/// <summary>
/// Plays the sixteen faults between a real client and real servers, with the hub between them and nothing configured but two retries, 30 s in all and
/// one fallback.
/// </summary>
public static class FaultBench
{
    private static readonly TimeSpan s_hang = TimeSpan.FromSeconds(150);

    /// <param name="scenario">What to play.</param>
    /// <param name="factor">How much faster than the system's the clock runs: 1 for the bench's own timings.</param>
    /// <param name="rescues">Whether answers that break off may be gone on with.</param>
    public static async Task<FaultResult> RunAsync(FaultScenario scenario, int factor, bool rescues = true)
    {
        TimeProvider time = factor == 1 ? TimeProvider.System : new AcceleratedTimeProvider(factor);
        await using var primary = await FaultyServer.StartAsync("primary", time, (server, call, reply) => scenario.Primary(server, call, reply));
        await using var fallback = await FaultyServer.StartAsync("fallback", time, (server, call, reply) => scenario.Fallback(server, call, reply));
        await using var hub = await StartHubAsync(primary, fallback, time, rescues);
        using var http = new HttpClient { BaseAddress = new Uri(hub.Urls.First()), Timeout = s_hang };

        var answers = new List<FaultAnswer>();
        var asked = new List<Task<FaultAnswer>>();
        for (var i = 0; i < scenario.RequestCount; i++)
        {
            var due = i * scenario.Interval - primary.Elapsed;
            if (due > TimeSpan.Zero) await Task.Delay(due, time);
            asked.Add(FaultAnswer.AskAsync(http, time));
        }
        foreach (var asking in asked) answers.Add(await asking);
        if (scenario.AsksAgain) answers.Add(await FaultAnswer.AskAsync(http, time));
        await hub.StopAsync();
        return Judge(scenario, answers, primary, fallback);
    }

    /// <summary>The score card.</summary>
    public static string Print(IReadOnlyList<FaultResult> results)
    {
        var card = new StringBuilder();
        foreach (var result in results)
        {
            card.AppendLine(CultureInfo.InvariantCulture,
                $"{result.Scenario.Id}  {result.Verdict.ToString().ToLowerInvariant(),-7}  {result.Wall.TotalSeconds,5:0.0} s  primary {result.PrimaryCalls,2}  fallback {result.FallbackCalls,2}  {result.Scenario.Title}{(result.Note.Length > 0 ? ": " + result.Note : "")}");
        }
        var counts = Enum.GetValues<FaultVerdict>().Select(verdict => $"{results.Count(result => result.Verdict == verdict)} {verdict.ToString().ToLowerInvariant()}");
        return card.Append(string.Join(", ", counts)).ToString();
    }

    private static FaultResult Judge(FaultScenario scenario, List<FaultAnswer> answers, FaultyServer primary, FaultyServer fallback)
    {
        var slowest = answers.MaxBy(answer => answer.Wall)!;
        var (verdict, note) = (FaultVerdict.Pass, "");
        if (scenario.Conduct(answers[0], primary, fallback) is { } problem) (verdict, note) = (FaultVerdict.Fail, problem);
        else if (answers.Find(answer => answer.IsMasked) is { } masked) (verdict, note) = (FaultVerdict.Fail, $"a part is shown as the whole: {masked.Content.Length} characters");
        else if (!scenario.IsRefusal && answers.Find(answer => !answer.IsComplete) is { } broken) (verdict, note) = (FaultVerdict.Safe, broken.Error ?? $"broken off after {broken.Content.Length} characters");
        return new FaultResult(scenario, verdict, slowest.Wall, primary.Calls.Count, fallback.Calls.Count, note);
    }

    private static async Task<WebApplication> StartHubAsync(FaultyServer primary, FaultyServer fallback, TimeProvider time, bool rescues)
    {
        var options = ConfigurationFile.Parse(
            $$"""
            listen: http://127.0.0.1:0
            models:
              - id: primary
                upstreams: [{url: "{{primary.Url}}"}]
                retries: 2
                timeouts: {total: 30s}
                rescue: {{(rescues ? "true" : "false")}}
                fallbacks: [fallback]
              - id: fallback
                upstreams: [{url: "{{fallback.Url}}"}]
            """,
            "sluice.yaml",
            _ => null);
        var application = SluiceServer.CreateApplication(options, ModelCatalog.Create(options, []), builder =>
        {
            builder.Logging.ClearProviders();
            builder.Services.AddSingleton(time);
        });
        await application.StartAsync();
        return application;
    }
}
