using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Cli.Bench;
using Sluice.Server.Configuration;
using Spectre.Console;

namespace Sluice.Cli.Commands;

/// <summary>Measures how an OpenAI-compatible server streams, alone or in turns with another one.</summary>
internal static class BenchCommand
{
    private const int ConcurrencyMax = 10_000;
    private const int RequestsMax = 10_000_000;
    private const int RoundsMax = 1_000;
    private const int OpenConcurrency = 1_000;
    private static readonly TimeSpan s_refresh = TimeSpan.FromMilliseconds(250);

    private sealed record Settings(
        string Url, string? Model, string? KeyVariable, string? Against, string? AgainstModel, string? AgainstKeyVariable, int Rounds, string? Json, Workload Workload, LoadShape Shape,
        GoodputLimits? Goodput, string Load);

    public static Command Create(Terminal terminal)
    {
        var url = new Argument<string>("URL") { Description = "where the API begins, such as http://localhost:8080/v1" }.NotAnOption();
        var model = Text("--model", "MODEL", "whose answers to measure; the server's only one by default");
        var keyVariable = Text("--api-key-env", "NAME", "environment variable with the key; default OPENAI_API_KEY");
        var against = Text("--against", "URL", "a second server, measured in turns with the first");
        var againstModel = Text("--against-model", "MODEL", "its model; the same name by default");
        var againstKeyVariable = Text("--against-api-key-env", "NAME", "environment variable with its key; none by default");
        var concurrency = new Option<int?>("--concurrency", "-c") { Description = "answers at a time; default 1, with --rate the most at a time (1000)", HelpName = "N" };
        var rate = new Option<double?>("--rate") { Description = "requests per second at random times (Poisson), however long answers take", HelpName = "R" };
        var requests = new Option<int?>("--requests", "-n") { Description = "requests to measure; default 4 for each at a time, at least 16", HelpName = "N" };
        var duration = Text("--duration", "TIME", "start requests for this long instead, such as 30s");
        var warmUp = new Option<int?>("--warmup") { Description = "requests before, which don't count; default one for each at a time, at most 8", HelpName = "N" };
        var prompt = Text("--prompt", "TOKENS", "length of prompts: 128 (default), 64..256 evenly, or 128~32 normally");
        var prefix = new Option<int?>("--shared-prefix") { Description = "tokens that all prompts begin with; default 0", HelpName = "N" };
        var output = Text("--output", "TOKENS", "sent as max_tokens, in the same forms; default 64, or none with --prompts");
        var prompts = Text("--prompts", "FILE", "prompts from JSON lines: bodies with 'messages', or {\"prompt\": \"…\"}");
        var extra = Text("--extra", "JSON", "merged into every body, such as '{\"ignore_eos\":true}'; null removes a member");
        var goodput = Text("--goodput", "LIMITS", "count the answers that keep limits, such as ttft:500ms,tpot:50ms,e2e:20s");
        var rounds = new Option<int?>("--rounds") { Description = "measurements of each server; default 1, with --against 3", HelpName = "N" };
        var timeout = Text("--timeout", "TIME", "for one answer; default 10m");
        var seed = new Option<int>("--seed") { Description = "of prompts, lengths and arrivals; default 1", HelpName = "N", DefaultValueFactory = static _ => 1 };
        var json = Text("--json", "FILE", "write the numbers as JSON; - is the output, instead of the table");
        var command = new Command("bench", "Measure how a server streams")
        {
            url, model, keyVariable, concurrency, rate, requests, duration, warmUp, prompt, prefix, output, prompts, extra, goodput, against, againstModel, againstKeyVariable, rounds, timeout, seed, json,
        };
        command.SetAction((result, cancellation) =>
        {
            var places = InRange("--concurrency", result.GetValue(concurrency), 1, ConcurrencyMax) ?? (result.GetValue(rate) is null ? 1 : OpenConcurrency);
            var time = Time("--duration", result.GetValue(duration));
            if (time is not null && result.GetValue(requests) is not null) throw new CliException("--requests and --duration exclude each other.");
            if (result.GetValue(rate) is { } perSecond && !(perSecond is > 0 and <= 100_000)) throw new CliException("--rate must be a number of requests per second, above 0 and at most 100000.");
            if (result.GetValue(prompts) is not null && (result.GetValue(prompt) is not null || result.GetValue(prefix) is not null))
                throw new CliException("--prompts excludes --prompt and --shared-prefix: the file has the whole prompts.");
            var shape = new LoadShape(
                places,
                result.GetValue(rate),
                time is null ? InRange("--requests", result.GetValue(requests), 1, RequestsMax) ?? Math.Max(16, Math.Min(places, 64) * 4) : null,
                time,
                InRange("--warmup", result.GetValue(warmUp), 0, RequestsMax) ?? Math.Min(places, 8),
                Time("--timeout", result.GetValue(timeout)) ?? TimeSpan.FromMinutes(10),
                result.GetValue(seed));
            var merged = ReadExtra(result.GetValue(extra));
            var promptLength = Length("--prompt", result.GetValue(prompt) ?? "128");
            var outputText = result.GetValue(output) ?? (result.GetValue(prompts) is null ? "64" : null);
            var outputLength = outputText is null ? null : Length("--output", outputText);
            var workload = result.GetValue(prompts) is { } file
                ? Workload.FromFile(Workload.ReadFile(file), outputLength, merged, shape.Seed)
                : Workload.Random(promptLength, outputLength, InRange("--shared-prefix", result.GetValue(prefix), 0, 1_000_000) ?? 0, merged, shape.Seed);
            var limits = result.GetValue(goodput) is { } text
                ? GoodputLimits.Parse(text) ?? throw new CliException($"--goodput '{text}' is not of the form ttft:500ms,tpot:50ms,e2e:20s, with one or more of these.")
                : null;
            var load = Describe(shape, result.GetValue(prompts) ?? $"prompts of {promptLength.Text} words", outputLength);
            return RunAsync(terminal, new Settings(
                result.GetRequiredValue(url), result.GetValue(model), result.GetValue(keyVariable), result.GetValue(against), result.GetValue(againstModel),
                result.GetValue(againstKeyVariable), InRange("--rounds", result.GetValue(rounds), 1, RoundsMax) ?? (result.GetValue(against) is null ? 1 : 3),
                result.GetValue(json), workload, shape, limits, load), cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(Terminal terminal, Settings settings, CancellationToken cancellation)
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var registration = terminal.OnInterrupt(interrupt.Cancel);
        using var handler = new SocketsHttpHandler { AllowAutoRedirect = false, MaxConnectionsPerServer = int.MaxValue };
        using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        var first = await BenchEndpoint.FindAsync(
            http, BenchEndpoint.ParseUrl(settings.Url), settings.Model, KeyOf(terminal, settings.KeyVariable, "OPENAI_API_KEY"), interrupt.Token);
        var second = settings.Against is null ? null : await BenchEndpoint.FindAsync(
            http, BenchEndpoint.ParseUrl(settings.Against), settings.AgainstModel ?? settings.Model, KeyOf(terminal, settings.AgainstKeyVariable, null), interrupt.Token);
        var endpoints = second is null ? [first] : new[] { first, second };
        var runs = endpoints.Select(static _ => new List<RunResult>()).ToArray();
        for (var round = 0; round < settings.Rounds && !interrupt.IsCancellationRequested; round++)
        {
            for (var place = 0; place < endpoints.Length && !interrupt.IsCancellationRequested; place++)
            {
                // Who begins changes with each round, so that a machine that warms up favours nobody.
                var index = round % 2 == 0 ? place : endpoints.Length - 1 - place;
                var run = new LoadRun(http, endpoints[index], settings.Workload, settings.Shape, settings.Goodput, terminal.Time);
                var title = $"round {round + 1} of {settings.Rounds}, {endpoints[index].Url.Authority}";
                runs[index].Add(await WithProgressAsync(terminal, settings, title, run, (round * endpoints.Length) + place, interrupt.Token));
            }
        }
        if (runs.Any(static list => list.Count == 0)) return ExitCodes.Interrupted;
        var comparison = new RunComparison(new EndpointRuns(first, runs[0]), second is null ? null : new EndpointRuns(second, runs[1]), settings.Goodput);
        await WriteAsync(terminal, settings, comparison);
        if (interrupt.IsCancellationRequested) return ExitCodes.Interrupted;
        return comparison.First.IsWhole && comparison.Second?.IsWhole != false ? ExitCodes.Success : ExitCodes.Incomplete;
    }

    private static async Task WriteAsync(Terminal terminal, Settings settings, RunComparison comparison)
    {
        if (settings.Json is not "-") BenchReport.Write(terminal.CreateConsole(), comparison, settings.Load);
        if (settings.Json is null) return;
        using var json = new MemoryStream();
        BenchJson.Write(json, comparison, settings.Shape, settings.Load);
        if (settings.Json == "-") terminal.Output.WriteLine(System.Text.Encoding.UTF8.GetString(json.GetBuffer(), 0, (int)json.Length));
        else await File.WriteAllBytesAsync(settings.Json, json.ToArray());
    }

    private static async Task<RunResult> WithProgressAsync(Terminal terminal, Settings settings, string title, LoadRun run, int number, CancellationToken cancellation)
    {
        if (!terminal.IsOutputInteractive || settings.Json == "-") return await run.RunAsync(number, cancellation);
        return await terminal.CreateConsole().Progress().AutoClear(true).AutoRefresh(false)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask(Markup.Escape(title));
                var started = terminal.Time.GetTimestamp();
                var running = run.RunAsync(number, cancellation);
                while (!running.IsCompleted)
                {
                    await Task.WhenAny(running, Task.Delay(s_refresh, terminal.Time, CancellationToken.None));
                    var counts = run.Counts;
                    var elapsed = terminal.Time.GetElapsedTime(started);
                    task.MaxValue = settings.Shape.Duration?.TotalSeconds ?? settings.Shape.Requests ?? 1;
                    task.Value = settings.Shape.Duration is null ? counts.Completed + counts.Failed : Math.Min(elapsed.TotalSeconds, task.MaxValue);
                    task.Description = Markup.Escape(string.Create(CultureInfo.InvariantCulture,
                        $"{title}: {counts.Completed} done, {counts.InFlight} running, {counts.Failed} failed, {counts.Chunks / Math.Max(elapsed.TotalSeconds, 0.001):#,0} chunks/s, first token {counts.FirstToken.Quantile(0.5).TotalMilliseconds:0.0} ms"));
                    context.Refresh();
                }
                return await running;
            });
    }

    private static string Describe(LoadShape shape, string prompts, LengthDistribution? output)
    {
        var how = shape.RequestsPerSecond is { } rate ? string.Create(CultureInfo.InvariantCulture, $"{rate} requests a second") : $"{shape.Concurrency} at a time";
        var howMany = shape.Requests is { } requests ? $"{requests} requests" : string.Create(CultureInfo.InvariantCulture, $"for {shape.Duration!.Value.TotalSeconds} s");
        return $"{how}, {howMany}, {prompts}{(output is null ? "" : $", at most {output.Text} tokens of output")}, seed {shape.Seed}";
    }

    private static JsonObject ReadExtra(string? text)
    {
        if (text is null) return [];
        try
        {
            if (JsonNode.Parse(text) is JsonObject extra) return extra;
        }
        catch (JsonException)
        {
            // Said below, as for JSON that is no object.
        }
        throw new CliException("--extra is not a JSON object, such as '{\"ignore_eos\":true}'.");
    }

    private static string? KeyOf(Terminal terminal, string? variable, string? standard)
    {
        if (variable is null) return standard is null ? null : terminal.GetVariable(standard);
        return terminal.GetVariable(variable) ?? throw new CliException($"The environment variable {variable} is not set.");
    }

    private static Option<string?> Text(string name, string helpName, string description) => new(name) { Description = description, HelpName = helpName };

    private static TimeSpan? Time(string option, string? text) => text is null
        ? null
        : Duration.Parse(text) ?? throw new CliException($"{option} '{text}' is not a valid time, such as 500ms, 30s or 5m.");

    private static LengthDistribution Length(string option, string text) =>
        LengthDistribution.Parse(text) ?? throw new CliException($"{option} '{text}' is not a valid length, such as 128, 64..256 or 128~32.");

    private static int? InRange(string option, int? value, int low, int high) => value is null || (value >= low && value <= high)
        ? value
        : throw new CliException($"{option} is {value}; it must be at least {low} and at most {high}.");
}
