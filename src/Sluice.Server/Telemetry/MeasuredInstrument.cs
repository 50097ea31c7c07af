using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Sluice.Server.Telemetry;

/// <summary>All series of one instrument. Thread-safe; a measurement with tags that were there before allocates nothing.</summary>
internal sealed class MeasuredInstrument
{
    private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], MeasuredSeries> _series = new(new TagComparer());
    private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], MeasuredSeries>.AlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>> _bySpan;

    public MeasuredInstrument(Instrument instrument)
    {
        Instrument = instrument;
        Bounds = instrument switch
        {
            Histogram<double> histogram => [.. histogram.Advice?.HistogramBucketBoundaries ?? []],
            Histogram<long> histogram => [.. (histogram.Advice?.HistogramBucketBoundaries ?? []).Select(static bound => (double)bound)],
            _ => [],
        };
        _bySpan = _series.GetAlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>>();
    }

    public Instrument Instrument { get; }

    /// <summary>Of a histogram; empty otherwise.</summary>
    public double[] Bounds { get; }

    public IEnumerable<MeasuredSeries> Series => _series.Values;

    public void Add(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (!_bySpan.TryGetValue(tags, out var series)) series = _series.GetOrAdd(tags.ToArray(), static (key, bounds) => new MeasuredSeries(key, bounds), Bounds);
        series.Add(value);
    }

    /// <summary>Before what can be looked up is looked up again.</summary>
    public void Clear() => _series.Clear();

    // Tags come in the order of the code that writes them, which is always the same.
    private sealed class TagComparer :
        IEqualityComparer<KeyValuePair<string, object?>[]>,
        IAlternateEqualityComparer<ReadOnlySpan<KeyValuePair<string, object?>>, KeyValuePair<string, object?>[]>
    {
        public bool Equals(KeyValuePair<string, object?>[]? x, KeyValuePair<string, object?>[]? y) => Equals(x.AsSpan(), y!);

        public bool Equals(ReadOnlySpan<KeyValuePair<string, object?>> alternate, KeyValuePair<string, object?>[] other)
        {
            if (alternate.Length != other.Length) return false;
            for (var i = 0; i < other.Length; i++)
            {
                if (alternate[i].Key != other[i].Key || !object.Equals(alternate[i].Value, other[i].Value)) return false;
            }
            return true;
        }

        public int GetHashCode(KeyValuePair<string, object?>[] obj) => GetHashCode(obj.AsSpan());

        // Keys are few and the same for all series of an instrument.
        public int GetHashCode(ReadOnlySpan<KeyValuePair<string, object?>> alternate)
        {
            var hash = default(HashCode);
            foreach (var (_, value) in alternate) hash.Add(value);
            return hash.ToHashCode();
        }

        public KeyValuePair<string, object?>[] Create(ReadOnlySpan<KeyValuePair<string, object?>> alternate) => alternate.ToArray();
    }
}
