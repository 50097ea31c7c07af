using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Sluice.Server.Telemetry;

/// <summary>
/// Collects what the hub's instruments measure and writes it as Prometheus reads it (text format 0.0.4). It listens from its creation to
/// its end. Thread-safe.
/// </summary>
internal sealed class PrometheusText : IDisposable
{
    /// <summary>Of the text.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly MeterListener _listener = new();

    // Guards the list, and lets one collect at a time.
    private readonly Lock _lock = new();
    private readonly List<MeasuredInstrument> _instruments = [];

    public PrometheusText(HubMetrics metrics)
    {
        // Other hubs of the process have meters of their own with the same name.
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (!ReferenceEquals(instrument.Meter, metrics.Meter)) return;
            var measured = new MeasuredInstrument(instrument);
            lock (_lock) _instruments.Add(measured);
            listener.EnableMeasurementEvents(instrument, measured);
        };
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, state) => ((MeasuredInstrument)state!).Add(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, state) => ((MeasuredInstrument)state!).Add(value, tags));
        _listener.Start();
    }

    public void Dispose() => _listener.Dispose();

    /// <summary>Everything that was measured so far.</summary>
    public string Write()
    {
        var text = new StringBuilder();
        lock (_lock)
        {
            foreach (var measured in _instruments.Where(static measured => measured.Instrument.IsObservable)) measured.Clear();
            _listener.RecordObservableInstruments();
            foreach (var measured in _instruments.OrderBy(static measured => measured.Instrument.Name, StringComparer.Ordinal)) Write(text, measured);
        }
        return text.ToString();
    }

    private static void Write(StringBuilder text, MeasuredInstrument measured)
    {
        var type = measured.Instrument switch
        {
            Counter<long> or ObservableCounter<long> => "counter",
            Histogram<double> or Histogram<long> => "histogram",
            _ => "gauge",
        };
        var name = NameOf(measured.Instrument) + (type == "counter" ? "_total" : "");
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {measured.Instrument.Description}\n# TYPE {name} {type}\n");
        foreach (var series in measured.Series)
        {
            var labels = LabelsOf(series);
            var (sum, counts) = series.Read();
            if (type != "histogram")
            {
                WriteLine(text, name, labels, "", sum);
                continue;
            }
            long count = 0;
            for (var i = 0; i < counts.Length; i++)
            {
                count += counts[i];
                var bound = i < measured.Bounds.Length ? measured.Bounds[i].ToString(CultureInfo.InvariantCulture) : "+Inf";
                WriteLine(text, name + "_bucket", labels, $"le=\"{bound}\"", count);
            }
            WriteLine(text, name + "_sum", labels, "", sum);
            WriteLine(text, name + "_count", labels, "", count);
        }
    }

    private static void WriteLine(StringBuilder text, string name, string labels, string label, double value)
    {
        text.Append(name);
        if (labels.Length + label.Length > 0) text.Append('{').Append(labels).Append(labels.Length > 0 && label.Length > 0 ? "," : "").Append(label).Append('}');
        text.Append(CultureInfo.InvariantCulture, $" {value}\n");
    }

    // As OpenTelemetry's rules for Prometheus have it: dots become underscores, and the unit is a part of the name.
    private static string NameOf(Instrument instrument) => instrument.Name.Replace('.', '_') + (instrument.Unit == "s" ? "_seconds" : "");

    private static string LabelsOf(MeasuredSeries series) =>
        string.Join(',', series.Tags.Select(static tag => $"{tag.Key.Replace('.', '_')}=\"{Escape(tag.Value?.ToString() ?? "")}\""));

    private static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
