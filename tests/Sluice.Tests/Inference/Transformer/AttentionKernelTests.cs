using Sluice.Inference.Kernels;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

public sealed unsafe class AttentionKernelTests
{
    private const int BlockTokens = TransformerLimits.KvBlockTokens;

    [Theory]
    [InlineData(16, 1, 1)]
    [InlineData(64, 31, 3)]
    [InlineData(64, 32, 4)]
    [InlineData(64, 33, 5)]
    [InlineData(48, 200, 9)]
    [InlineData(128, 97, 32)]
    public void Results_agree_with_a_plain_softmax_in_double_precision(int headLength, int tokenCount, int rowCount)
    {
        using var scene = new Scene(headLength, tokenCount, rowCount, sharpness: 1);
        scene.Check(1 / MathF.Sqrt(headLength), tolerance: 1e-5);
    }

    // Scores far apart: the running maximum is replaced again and again, and weights vanish.
    [Fact]
    public void Sharp_scores_do_not_overflow()
    {
        using var scene = new Scene(64, 150, 7, sharpness: 40);
        scene.Check(1, tolerance: 1e-3);
    }

    [Fact]
    public void A_row_has_the_same_bits_whatever_rows_stand_beside_it()
    {
        using var scene = new Scene(64, 100, 11, sharpness: 2);
        var together = scene.Run(0, 11, 0.125f);
        for (var row = 0; row < 11; row++)
        {
            Assert.Equal(together[row], scene.Run(row, 1, 0.125f)[0]);
        }
    }

    // Windows that end within a block, at its border and behind several.
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(90)]
    public void A_row_sees_its_window_alone(int window)
    {
        using var scene = new Scene(64, 130, 11, sharpness: 2) { Window = window };
        scene.Check(0.125f, tolerance: 1e-5);
        var together = scene.Run(0, 11, 0.125f);
        for (var row = 0; row < 11; row++)
        {
            Assert.Equal(together[row], scene.Run(row, 1, 0.125f)[0]);
        }
    }

    [Fact]
    public void Scores_are_capped_before_the_mask()
    {
        using var scene = new Scene(64, 70, 5, sharpness: 20) { Cap = 5, Window = 40 };
        scene.Check(1, tolerance: 1e-4);
    }

    // A sink above all scores, and one below.
    [Theory]
    [InlineData(12f)]
    [InlineData(-12f)]
    public void A_sink_takes_a_share_and_gives_nothing(float sink)
    {
        using var scene = new Scene(64, 70, 5, sharpness: 2) { Sink = sink };
        scene.Check(0.125f, tolerance: 1e-5);
    }

    /// <summary>A cache of one head with random keys and values, and rows at random positions.</summary>
    private sealed class Scene : IDisposable
    {
        private readonly int _headLength;
        private readonly KvCache _cache;
        private readonly KvSequence _sequence = new();
        private readonly AttentionKernel _kernel;
        private readonly NativeBuffer _queries;
        private readonly NativeBuffer _outputs;
        private readonly int[] _positions;
        private readonly float[] _keys;
        private readonly float[] _values;

        public Scene(int headLength, int tokenCount, int rowCount, double sharpness)
        {
            var random = new RandomBlocks($"attention {headLength} {tokenCount}");
            _headLength = headLength;
            _cache = new KvCache(1, 1, headLength, tokenCount);
            _cache.TryGrow(_sequence, tokenCount);
            _kernel = new AttentionKernel(headLength, headLength, rowCount);
            _queries = new NativeBuffer((long)rowCount * headLength * sizeof(float));
            _outputs = new NativeBuffer((long)rowCount * headLength * sizeof(float));
            random.Singles((long)rowCount * headLength, sharpness).CopyTo(new Span<float>(_queries.Singles, rowCount * headLength));
            _positions = [.. Enumerable.Range(0, rowCount).Select(row => row == 0 ? tokenCount - 1 : random.Next(tokenCount))];
            _keys = Halves(random.Singles((long)tokenCount * headLength, 1));
            _values = Halves(random.Singles((long)tokenCount * headLength, 1));
            for (var t = 0; t < tokenCount; t++)
            {
                var keys = (ushort*)_cache.Keys(_sequence.Blocks[t / BlockTokens], 0, 0);
                var values = (ushort*)_cache.Values(_sequence.Blocks[t / BlockTokens], 0, 0);
                var within = t % BlockTokens;
                for (var d = 0; d < headLength; d++)
                {
                    var index = (t * headLength) + d;
                    keys[(within / 16 * 16 * headLength) + (d * 16) + (within % 16)] = BitConverter.HalfToUInt16Bits((Half)_keys[index]);
                    values[(within * headLength) + d] = BitConverter.HalfToUInt16Bits((Half)_values[index]);
                }
            }
        }

        /// <summary>Positions that a row sees, its own the last one; 0 for all.</summary>
        public int Window { get; init; }

        public float Cap { get; init; }

        public float? Sink { get; init; }

        public float[][] Run(int firstRow, int rowCount, float scale)
        {
            float** queries = stackalloc float*[rowCount];
            float** outputs = stackalloc float*[rowCount];
            for (var row = 0; row < rowCount; row++)
            {
                queries[row] = _queries.Singles + ((firstRow + row) * _headLength);
                outputs[row] = _outputs.Singles + (row * _headLength);
            }

            int* firsts = stackalloc int[rowCount];
            int* ends = stackalloc int[rowCount];
            float* sinks = stackalloc float[rowCount];
            for (var row = 0; row < rowCount; row++)
            {
                (firsts[row], ends[row]) = Visible(firstRow + row);
                sinks[row] = Sink ?? 0;
            }

            var rows = new AttentionRows
            {
                Count = rowCount,
                Queries = queries,
                Outputs = outputs,
                Firsts = firsts,
                Ends = ends,
                Sinks = Sink == null ? null : sinks,
            };
            _kernel.Run(_cache, _sequence, new AttentionHead(0, 0, _headLength, _headLength, scale, Cap), rows);

            var results = new float[rowCount][];
            for (var row = 0; row < rowCount; row++)
            {
                results[row] = new ReadOnlySpan<float>(outputs[row], _headLength).ToArray();
            }

            return results;
        }

        public void Check(float scale, double tolerance)
        {
            var actual = Run(0, _positions.Length, scale);
            for (var row = 0; row < _positions.Length; row++)
            {
                var (first, end) = Visible(row);
                var scores = Enumerable.Range(first, end - first).Select(t => Capped(Score(row, t) * scale)).ToArray();
                var max = scores.Append(Sink ?? double.NegativeInfinity).Max();
                var weights = scores.Select(s => Math.Exp(s - max)).ToArray();
                var total = weights.Sum() + (Sink is { } sink ? Math.Exp(sink - max) : 0);
                for (var d = 0; d < _headLength; d++)
                {
                    var expected = weights.Select((w, t) => w * _values[((first + t) * _headLength) + d]).Sum() / total;
                    Assert.Equal(expected, actual[row][d], tolerance);
                }
            }
        }

        public void Dispose()
        {
            _kernel.Dispose();
            _cache.Dispose();
            _queries.Dispose();
            _outputs.Dispose();
        }

        private (int First, int End) Visible(int row) =>
            (Window == 0 ? 0 : Math.Max(0, _positions[row] - Window + 1), _positions[row] + 1);

        private double Capped(double score) => Cap == 0 ? score : Cap * Math.Tanh(score / Cap);

        private static float[] Halves(float[] values) => [.. values.Select(v => (float)(Half)v)];

        private double Score(int row, int token)
        {
            double sum = 0;
            for (var d = 0; d < _headLength; d++)
            {
                sum += (double)_queries.Singles[(row * _headLength) + d] * _keys[(token * _headLength) + d];
            }

            return sum;
        }
    }
}
