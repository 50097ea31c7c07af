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
            _kernel = new AttentionKernel(headLength, rowCount);
            _queries = new NativeBuffer((long)rowCount * headLength * sizeof(float));
            _outputs = new NativeBuffer((long)rowCount * headLength * sizeof(float));
            random.Singles((long)rowCount * headLength, sharpness).CopyTo(new Span<float>(_queries.Singles, rowCount * headLength));
            _positions = [.. Enumerable.Range(0, rowCount).Select(row => row == 0 ? tokenCount - 1 : random.Next(tokenCount))];
            _keys = Halves(random.Singles((long)tokenCount * headLength, 1));
            _values = Halves(random.Singles((long)tokenCount * headLength, 1));
            for (var t = 0; t < tokenCount; t++)
            {
                var keys = _cache.Keys(_sequence.Blocks[t / BlockTokens], 0, 0);
                var values = _cache.Values(_sequence.Blocks[t / BlockTokens], 0, 0);
                var within = t % BlockTokens;
                for (var d = 0; d < headLength; d++)
                {
                    var index = (t * headLength) + d;
                    keys[(within / 16 * 16 * headLength) + (d * 16) + (within % 16)] = BitConverter.HalfToUInt16Bits((Half)_keys[index]);
                    values[(within * headLength) + d] = BitConverter.HalfToUInt16Bits((Half)_values[index]);
                }
            }
        }

        public float[][] Run(int firstRow, int rowCount, float scale)
        {
            float** queries = stackalloc float*[rowCount];
            float** outputs = stackalloc float*[rowCount];
            for (var row = 0; row < rowCount; row++)
            {
                queries[row] = _queries.Singles + ((firstRow + row) * _headLength);
                outputs[row] = _outputs.Singles + (row * _headLength);
            }

            fixed (int* positions = &_positions[firstRow])
            {
                _kernel.Run(_cache, _sequence, 0, 0, queries, positions, outputs, rowCount, scale);
            }

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
                var scores = Enumerable.Range(0, _positions[row] + 1).Select(t => Score(row, t) * scale).ToArray();
                var weights = scores.Select(s => Math.Exp(s - scores.Max())).ToArray();
                for (var d = 0; d < _headLength; d++)
                {
                    var expected = weights.Select((w, t) => w * _values[(t * _headLength) + d]).Sum() / weights.Sum();
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
