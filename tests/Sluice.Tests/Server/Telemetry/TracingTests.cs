using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Telemetry;
using Sluice.Testing;
using Sluice.Tests.Cli;
using Sluice.Tests.Repository;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Telemetry;

/// <summary>Runs alone, for a listener hears every hub of the process.</summary>
[CollectionDefinition(nameof(TracingTests), DisableParallelization = true)]
public sealed class TracingCollection;

/// <summary>Spans, and what upstreams are told of them.</summary>
[Collection(nameof(TracingTests))]
public sealed class TracingTests
{
    private const string ClientTrace = "0af7651916cd43dd8448eb211c80319c";
    private const string ClientParent = $"00-{ClientTrace}-b7ad6b7169203331-01";

    [Theory]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]", "chat", "chat")]
    [InlineData("/v1/responses", "\"input\":\"Hi\"", "chat", "responses")]
    [InlineData("/v1/messages", "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]", "chat", "messages")]
    [InlineData("/v1/completions", "\"prompt\":\"Hi\"", "text_completion", "completion")]
    public async Task Spans_and_metrics_name_the_operation_of_the_door(string path, string body, string operation, string door)
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == SluiceTelemetry.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var content = new StringContent($"{{\"model\":\"m\",{body}}}", System.Text.Encoding.UTF8, "application/json");
        using var response = await hub.Http.PostAsync(new Uri(path, UriKind.Relative), content);
        await Scrape.WhenIdleAsync(hub.Http);
        Assert.Equal([$"{operation} m", $"{operation} m"], spans.Select(span => span.DisplayName));
        Assert.All(spans, span => Assert.Equal(operation, span.GetTagItem("gen_ai.operation.name")));
        Assert.Equal(door, spans.Single(span => span.Kind == ActivityKind.Server).GetTagItem("sluice.door"));
        Assert.Contains($"gen_ai_operation_name=\"{operation}\"", await hub.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_has_a_span_and_each_attempt_one_below_it()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == SluiceTelemetry.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await using var broken = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, "{}"));
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            ScriptedUpstream.Role(), ScriptedUpstream.Text("x"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(7, 3)));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", broken, sound));
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"max_tokens\":5,\"temperature\":0.5"), default, ("traceparent", ClientParent), ("tracestate", "a=b"));
        await UpstreamHub.EventsAsync(response);
        await Scrape.WhenIdleAsync(hub.Http);

        var request = Assert.Single(spans, span => span.Kind == ActivityKind.Server);
        Assert.Equal("chat m", request.DisplayName);
        Assert.Equal(ClientTrace, request.TraceId.ToHexString());
        Assert.Equal("b7ad6b7169203331", request.ParentSpanId.ToHexString());
        Assert.Equal("chat", request.GetTagItem("gen_ai.operation.name"));
        Assert.Equal("m", request.GetTagItem("gen_ai.request.model"));
        Assert.Equal(5, request.GetTagItem("gen_ai.request.max_tokens"));
        Assert.Equal(0.5, request.GetTagItem("gen_ai.request.temperature"));
        Assert.Equal(7, request.GetTagItem("gen_ai.usage.input_tokens"));
        Assert.Equal(3, request.GetTagItem("gen_ai.usage.output_tokens"));
        Assert.StartsWith("chatcmpl-", (string)request.GetTagItem("gen_ai.response.id")!, StringComparison.Ordinal);
        Assert.Equal(ActivityStatusCode.Unset, request.Status);

        var attempts = spans.Where(span => span.Kind == ActivityKind.Client).ToList();
        Assert.Equal(["faulted", "answered"], attempts.Select(span => span.GetTagItem("sluice.outcome")));
        Assert.All(attempts, span => Assert.Equal(request.SpanId, span.ParentSpanId));
        Assert.Equal("502", attempts[0].GetTagItem("error.type"));
        Assert.Equal(("127.0.0.1", new Uri(sound.Url).Port), (attempts[1].GetTagItem("server.address"), attempts[1].GetTagItem("server.port")));
        Assert.Equal([attempts[0].Id, attempts[1].Id], new[] { broken, sound }.Select(upstream => upstream.Calls.Single().Headers["traceparent"]));
        Assert.Equal("a=b", sound.Calls.Single().Headers["tracestate"]);
    }

    [Fact]
    public async Task Where_nobody_traces_the_clients_words_pass_and_none_are_made_up()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), default, ("traceparent", ClientParent));
        await UpstreamHub.EventsAsync(response);
        using var other = await hub.PostAsync(UpstreamHub.Ask());
        await UpstreamHub.EventsAsync(other);
        Assert.Equal(ClientParent, upstream.Calls[0].Headers["traceparent"]);
        Assert.False(upstream.Calls[1].Headers.ContainsKey("traceparent"));
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "{0}", "traces metrics")]
    [InlineData("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "{0}/v1/metrics", "metrics")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "{0}", "traces", "OTEL_METRICS_EXPORTER", "none")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "{0}", "", "OTEL_SDK_DISABLED", "true")]
    [InlineData("OTEL_UNRELATED", "{0}", "")]
    public async Task The_standard_variables_switch_the_export_on(string variable, string endpoint, string signals, string? other = null, string? value = null)
    {
        var bodies = new ConcurrentDictionary<string, string>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var collector = builder.Build();
        collector.Run(async context =>
        {
            using var body = new StreamReader(context.Request.Body, System.Text.Encoding.Latin1);
            bodies[context.Request.Path.Value!] = await body.ReadToEndAsync();
            context.Response.ContentType = "application/x-protobuf";
        });
        await collector.StartAsync(TestContext.Current.CancellationToken);
        var terminal = new TestTerminal();
        terminal.Variables[variable] = string.Format(System.Globalization.CultureInfo.InvariantCulture, endpoint, collector.Urls.First());
        if (other is not null) terminal.Variables[other] = value!;
        terminal.Variables["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf";
        terminal.Variables["OTEL_SERVICE_NAME"] = "the-name-of-the-service";
        var announced = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        terminal.Written = output => announced.TrySetResult(output);
        var serve = terminal.RunAsync("serve", "--config", RepositoryFiles.FullPath("examples/engine-names.yaml"), "--models", RepositoryFiles.FullPath("models"), "--urls", "127.0.0.1:0");
        Assert.True(await Task.WhenAny(announced.Task, serve) == announced.Task, terminal.Error);
        var address = System.Text.RegularExpressions.Regex.Match(await announced.Task, @" at (http://\S+)").Groups[1].Value;
        using var http = new HttpClient { BaseAddress = new Uri(address) };
        using var response = await http.PostAsync(
            "/v1/chat/completions", new StringContent(UpstreamHub.Ask("gpt-4.1", more: ",\"max_tokens\":2"), System.Text.Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        await Scrape.WhenIdleAsync(http);
        terminal.PressCtrlC();
        Assert.Equal(0, await serve);

        Assert.Equal(signals.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(signal => "/v1/" + signal).Order(), bodies.Keys.Order());
        foreach (var (path, body) in bodies)
        {
            Assert.Contains("the-name-of-the-service", body, StringComparison.Ordinal);
            Assert.Contains(path == "/v1/traces" ? "chat gpt-4.1" : "gen_ai.server.time_to_first_token", body, StringComparison.Ordinal);
            Assert.DoesNotContain("\"Hi\"", body, StringComparison.Ordinal);
        }
    }
}
