using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Sluice.Server.Telemetry;

namespace Sluice.Cli;

/// <summary>
/// Sends the hub's traces and metrics over OTLP when OpenTelemetry's own environment variables ask for it, and to where they say. Without
/// them nothing is sent, and no span is made.
/// </summary>
internal sealed class TelemetryExport : IDisposable
{
    private const string ServiceName = "sluice";

    private readonly TracerProvider? _traces;
    private readonly MeterProvider? _metrics;

    private TelemetryExport(TracerProvider? traces, MeterProvider? metrics) => (_traces, _metrics) = (traces, metrics);

    /// <summary>Starts what the variables ask for; null when that is nothing.</summary>
    /// <param name="getVariable">Value of an environment variable; null when it is unset or empty.</param>
    public static TelemetryExport? Start(Func<string, string?> getVariable)
    {
        if (string.Equals(getVariable("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase)) return null;
        var traces = IsAskedFor(getVariable, "TRACES");
        var metrics = IsAskedFor(getVariable, "METRICS");
        return traces || metrics ? new TelemetryExport(traces ? Traces(getVariable) : null, metrics ? Metrics(getVariable) : null) : null;
    }

    /// <summary>Sends what is left, for a few seconds at most.</summary>
    public void Dispose()
    {
        _traces?.Dispose();
        _metrics?.Dispose();
    }

    // By the specification an exporter is named by OTEL_*_EXPORTER. An address alone says the same, and "none" takes it back.
    private static bool IsAskedFor(Func<string, string?> getVariable, string signal) => getVariable($"OTEL_{signal}_EXPORTER") switch
    {
        null => getVariable("OTEL_EXPORTER_OTLP_ENDPOINT") is not null || getVariable($"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") is not null,
        var exporters => exporters.Split(',', StringSplitOptions.TrimEntries).Contains("otlp"),
    };

    private static TracerProvider Traces(Func<string, string?> getVariable) => Sdk.CreateTracerProviderBuilder()
        .ConfigureServices(services => services.AddSingleton(Configuration(getVariable, "TRACES")))
        .SetResourceBuilder(Resource())
        .AddSource(SluiceTelemetry.SourceName)
        .AddOtlpExporter(options => SetEndpoint(options, getVariable, "TRACES"))
        .Build();

    private static MeterProvider Metrics(Func<string, string?> getVariable) => Sdk.CreateMeterProviderBuilder()
        .ConfigureServices(services => services.AddSingleton(Configuration(getVariable, "METRICS")))
        .SetResourceBuilder(Resource())
        .AddMeter(SluiceTelemetry.MeterName)
        .AddOtlpExporter(options => SetEndpoint(options, getVariable, "METRICS"))
        .Build();

    private static IConfiguration Configuration(Func<string, string?> getVariable, string signal) =>
        new ConfigurationBuilder().Add(new Variables(getVariable, signal)).Build();

    // To the address of one signal no path is added.
    private static void SetEndpoint(OtlpExporterOptions options, Func<string, string?> getVariable, string signal)
    {
        if (getVariable($"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") is { } endpoint && Uri.TryCreate(endpoint, UriKind.Absolute, out var url)) options.Endpoint = url;
    }

    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last, so they win.
    private static ResourceBuilder Resource() => ResourceBuilder.CreateEmpty()
        .AddService(ServiceName, serviceVersion: typeof(TelemetryExport).Assembly.GetName().Version?.ToString(3))
        .AddTelemetrySdk()
        .AddEnvironmentVariableDetector();

    // What is said for one signal counts before what is said for all: protocol, headers, timeout.
    private sealed class Variables(Func<string, string?> getVariable, string signal) : ConfigurationProvider, IConfigurationSource
    {
        private const string Prefix = "OTEL_EXPORTER_OTLP_";

        public IConfigurationProvider Build(IConfigurationBuilder builder) => this;

        public override bool TryGet(string key, out string? value)
        {
            value = key.StartsWith(Prefix, StringComparison.Ordinal) && key != Prefix + "ENDPOINT" ? getVariable($"{Prefix}{signal}_{key[Prefix.Length..]}") : null;
            value ??= getVariable(key);
            return value is not null;
        }
    }
}
