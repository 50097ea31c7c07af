using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>
/// Attention of some query rows over one key/value head, block by block with a running softmax. Blocks start at fixed positions and are
/// taken in order, and a block of which a row sees nothing changes none of its bits. So a row's result does not depend on the rows beside it
/// nor on how its prompt was cut into steps. One instance per thread.
/// </summary>
internal sealed unsafe class AttentionKernel : IDisposable
{
    private const int BlockTokens = TransformerLimits.KvBlockTokens;
    private const int TileTokens = VectorMath.Lanes;

    private readonly NativeBuffer _keys;
    private readonly NativeBuffer _values;
    private readonly NativeBuffer _scores;
    private readonly NativeBuffer _sums;
    private readonly float[] _maxima;
    private readonly float[] _totals;
    private int _keyLength;
    private int _valueLength;

    /// <param name="keyLengthMax">Most values of a key.</param>
    /// <param name="valueLengthMax">Most values of a value.</param>
    /// <param name="rowCapacity">Most query rows of a call; rounded up to 4.</param>
    public AttentionKernel(int keyLengthMax, int valueLengthMax, int rowCapacity)
    {
        int rows = (rowCapacity + 3) & ~3;
        _keys = new NativeBuffer((long)BlockTokens * keyLengthMax * sizeof(float));
        _values = new NativeBuffer((long)BlockTokens * valueLengthMax * sizeof(float));
        _scores = new NativeBuffer((long)rows * BlockTokens * sizeof(float));
        _sums = new NativeBuffer((long)rows * valueLengthMax * sizeof(float));
        _maxima = new float[rows];
        _totals = new float[rows];
    }

    /// <summary>Computes softmax(cap(q · Kᵀ · scale)) · V for each row.</summary>
    /// <param name="cache">The cache.</param>
    /// <param name="sequence">The sequence that all rows belong to.</param>
    /// <param name="head">The key/value head and what is made of its scores.</param>
    /// <param name="rows">The rows.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(KvCache cache, KvSequence sequence, in AttentionHead head, in AttentionRows rows)
    {
        int rowCount = rows.Count;
        float scale = head.Scale;
        float cap = head.Cap;
        float** queries = rows.Queries;
        _keyLength = head.KeyLength;
        _valueLength = head.ValueLength;
        int first = int.MaxValue;
        int end = 0;
        for (int r = 0; r < rowCount; r++)
        {
            first = Math.Min(first, rows.Firsts[r]);
            end = Math.Max(end, rows.Ends[r]);
            _maxima[r] = float.NegativeInfinity;
            _totals[r] = 0;
        }

        new Span<float>(_sums.Singles, rowCount * _valueLength).Clear();
        for (int start = first / BlockTokens * BlockTokens; start < end; start += BlockTokens)
        {
            int count = Math.Min(BlockTokens, end - start);
            int block = sequence.Blocks[start / BlockTokens];
            int tileCount = (count + TileTokens - 1) / TileTokens;
            int next = sequence.Blocks[Math.Min(start + BlockTokens, end - 1) / BlockTokens];
            KvRows.ReadKeys(
                cache.Type, cache.Keys(block, head.Layer, head.Index), _keys.Singles, tileCount, _keyLength,
                cache.Keys(next, head.Layer, head.Index));
            KvRows.ReadValues(
                cache.Type, cache.Values(block, head.Layer, head.Index), _values.Singles, count, _valueLength,
                cache.Values(next, head.Layer, head.Index));
            for (int r = 0; r < rowCount; r += 4)
            {
                int r1 = Math.Min(r + 1, rowCount - 1);
                int r2 = Math.Min(r + 2, rowCount - 1);
                int r3 = Math.Min(r + 3, rowCount - 1);
                if (tileCount == 2)
                {
                    ScoreBlock(queries[r], queries[r1], queries[r2], queries[r3], r, r1, r2, r3, scale);
                }
                else
                {
                    ScoreTile(queries[r], queries[r1], queries[r2], queries[r3], r, r1, r2, r3, scale);
                }

                for (int i = r; i <= r3; i++)
                {
                    if (cap != 0)
                    {
                        VectorMath.SoftCap(_scores.Singles + (i * BlockTokens), tileCount * TileTokens, cap);
                    }

                    Weigh(i, rows.Firsts[i] - start, rows.Ends[i] - start, tileCount * TileTokens);
                }

                Accumulate(r, r1, r2, r3, count);
            }
        }

        for (int r = 0; r < rowCount; r++)
        {
            Vector512<float> share = Vector512.Create(rows.Sinks == null ? 1f / _totals[r] : ShareBesideSink(r, rows.Sinks[r]));
            for (int d = 0; d < _valueLength; d += VectorMath.Lanes)
            {
                (Vector512.Load(_sums.Singles + (r * _valueLength) + d) * share).Store(rows.Outputs[r] + d);
            }
        }
    }

    public void Dispose()
    {
        _keys.Dispose();
        _values.Dispose();
        _scores.Dispose();
        _sums.Dispose();
    }

    // The sink is a key among the others when the maximum is taken, and has no value.
    private float ShareBesideSink(int row, float sink)
    {
        float max = MathF.Max(_maxima[row], sink);
        float rescale = MathF.Exp(_maxima[row] - max);
        return rescale / ((_totals[row] * rescale) + MathF.Exp(sink - max));
    }

    // Four rows against the 16 tokens of a block that has no more: per row and token one sum over the head's values in order.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ScoreTile(float* q0, float* q1, float* q2, float* q3, int r0, int r1, int r2, int r3, float scale)
    {
        Vector512<float> s0 = Vector512<float>.Zero;
        Vector512<float> s1 = Vector512<float>.Zero;
        Vector512<float> s2 = Vector512<float>.Zero;
        Vector512<float> s3 = Vector512<float>.Zero;
        float* keys = _keys.Singles;
        int length = _keyLength;
        for (int d = 0; d < length; d++)
        {
            Vector512<float> k = Vector512.Load(keys + (d * TileTokens));
            s0 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q0[d]), s0);
            s1 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q1[d]), s1);
            s2 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q2[d]), s2);
            s3 = Vector512.FusedMultiplyAdd(k, Vector512.Create(q3[d]), s3);
        }

        float* scores = _scores.Singles;
        (s3 * scale).Store(scores + (r3 * BlockTokens));
        (s2 * scale).Store(scores + (r2 * BlockTokens));
        (s1 * scale).Store(scores + (r1 * BlockTokens));
        (s0 * scale).Store(scores + (r0 * BlockTokens));
    }

    // The same for a whole block. Eight sums at once keep both multipliers busy: each waits four cycles for its own last addition.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ScoreBlock(float* q0, float* q1, float* q2, float* q3, int r0, int r1, int r2, int r3, float scale)
    {
        Vector512<float> s0 = Vector512<float>.Zero;
        Vector512<float> s1 = Vector512<float>.Zero;
        Vector512<float> s2 = Vector512<float>.Zero;
        Vector512<float> s3 = Vector512<float>.Zero;
        Vector512<float> t0 = Vector512<float>.Zero;
        Vector512<float> t1 = Vector512<float>.Zero;
        Vector512<float> t2 = Vector512<float>.Zero;
        Vector512<float> t3 = Vector512<float>.Zero;
        float* first = _keys.Singles;
        int length = _keyLength;
        float* second = first + (TileTokens * length);
        for (int d = 0; d < length; d++)
        {
            Vector512<float> k = Vector512.Load(first + (d * TileTokens));
            Vector512<float> l = Vector512.Load(second + (d * TileTokens));
            Vector512<float> q = Vector512.Create(q0[d]);
            s0 = Vector512.FusedMultiplyAdd(k, q, s0);
            t0 = Vector512.FusedMultiplyAdd(l, q, t0);
            q = Vector512.Create(q1[d]);
            s1 = Vector512.FusedMultiplyAdd(k, q, s1);
            t1 = Vector512.FusedMultiplyAdd(l, q, t1);
            q = Vector512.Create(q2[d]);
            s2 = Vector512.FusedMultiplyAdd(k, q, s2);
            t2 = Vector512.FusedMultiplyAdd(l, q, t2);
            q = Vector512.Create(q3[d]);
            s3 = Vector512.FusedMultiplyAdd(k, q, s3);
            t3 = Vector512.FusedMultiplyAdd(l, q, t3);
        }

        float* scores = _scores.Singles;
        StoreScores(s3, t3, scale, scores + (r3 * BlockTokens));
        StoreScores(s2, t2, scale, scores + (r2 * BlockTokens));
        StoreScores(s1, t1, scale, scores + (r1 * BlockTokens));
        StoreScores(s0, t0, scale, scores + (r0 * BlockTokens));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreScores(Vector512<float> first, Vector512<float> second, float scale, float* scores)
    {
        (first * scale).Store(scores);
        (second * scale).Store(scores + TileTokens);
    }

    // Turns a row's scores into weights e^(s - max) and rescales what was summed under a smaller maximum. Only tokens from first to before end are seen.
    private void Weigh(int row, int first, int end, int count)
    {
        float* scores = _scores.Singles + (row * BlockTokens);
        if (end <= 0 || first >= count)
        {
            new Span<float>(scores, count).Clear();
            return;
        }

        Vector512<float> largest = Vector512.Create(float.NegativeInfinity);
        Vector512<int> lane = Vector512.Create(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        for (int i = 0; i < count; i += VectorMath.Lanes)
        {
            Vector512<int> token = lane + Vector512.Create(i);
            Vector512<float> seen = Vector512.LessThan(token, Vector512.Create(end)).AsSingle();
            if (first > 0)
            {
                seen &= Vector512.GreaterThanOrEqual(token, Vector512.Create(first)).AsSingle();
            }

            Vector512<float> s = Vector512.ConditionalSelect(seen, Vector512.Load(scores + i), Vector512.Create(float.NegativeInfinity));
            s.Store(scores + i);
            largest = Vector512.Max(largest, s);
        }

        float max = _maxima[row];
        Vector256<float> half = Vector256.Max(largest.GetLower(), largest.GetUpper());
        Vector128<float> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        quarter = Vector128.Max(quarter, Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1)));
        max = MathF.Max(max, MathF.Max(quarter[0], quarter[1]));

        Vector512<float> total = Vector512<float>.Zero;
        for (int i = 0; i < count; i += VectorMath.Lanes)
        {
            Vector512<float> weight = VectorMath.Exp(Vector512.Load(scores + i) - Vector512.Create(max));
            weight.Store(scores + i);
            total += weight;
        }

        float rescale = _maxima[row] == max ? 1 : MathF.Exp(_maxima[row] - max);
        _maxima[row] = max;
        _totals[row] = (_totals[row] * rescale) + Vector512.Sum(total);
        if (rescale != 1)
        {
            float* sums = _sums.Singles + (row * _valueLength);
            for (int d = 0; d < _valueLength; d += VectorMath.Lanes)
            {
                (Vector512.Load(sums + d) * rescale).Store(sums + d);
            }
        }
    }

    // Two times 16 values of the head at once, for eight sums as in ScoreBlock; a head of 16 more ends with four.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Accumulate(int r0, int r1, int r2, int r3, int count)
    {
        int length = _valueLength;
        float* p0 = _scores.Singles + (r0 * BlockTokens);
        float* p1 = _scores.Singles + (r1 * BlockTokens);
        float* p2 = _scores.Singles + (r2 * BlockTokens);
        float* p3 = _scores.Singles + (r3 * BlockTokens);
        float* sums0 = _sums.Singles + (r0 * length);
        float* sums1 = _sums.Singles + (r1 * length);
        float* sums2 = _sums.Singles + (r2 * length);
        float* sums3 = _sums.Singles + (r3 * length);
        int d = 0;
        for (; d + (2 * VectorMath.Lanes) <= length; d += 2 * VectorMath.Lanes)
        {
            Vector512<float> s0 = Vector512.Load(sums0 + d);
            Vector512<float> s1 = Vector512.Load(sums1 + d);
            Vector512<float> s2 = Vector512.Load(sums2 + d);
            Vector512<float> s3 = Vector512.Load(sums3 + d);
            Vector512<float> t0 = Vector512.Load(sums0 + d + VectorMath.Lanes);
            Vector512<float> t1 = Vector512.Load(sums1 + d + VectorMath.Lanes);
            Vector512<float> t2 = Vector512.Load(sums2 + d + VectorMath.Lanes);
            Vector512<float> t3 = Vector512.Load(sums3 + d + VectorMath.Lanes);
            float* values = _values.Singles + d;
            for (int t = 0; t < count; t++)
            {
                Vector512<float> v = Vector512.Load(values);
                Vector512<float> w = Vector512.Load(values + VectorMath.Lanes);
                Vector512<float> p = Vector512.Create(p0[t]);
                s0 = Vector512.FusedMultiplyAdd(v, p, s0);
                t0 = Vector512.FusedMultiplyAdd(w, p, t0);
                p = Vector512.Create(p1[t]);
                s1 = Vector512.FusedMultiplyAdd(v, p, s1);
                t1 = Vector512.FusedMultiplyAdd(w, p, t1);
                p = Vector512.Create(p2[t]);
                s2 = Vector512.FusedMultiplyAdd(v, p, s2);
                t2 = Vector512.FusedMultiplyAdd(w, p, t2);
                p = Vector512.Create(p3[t]);
                s3 = Vector512.FusedMultiplyAdd(v, p, s3);
                t3 = Vector512.FusedMultiplyAdd(w, p, t3);
                values += length;
            }

            // Rows beyond the last stand for the last one: the same numbers are stored again.
            s3.Store(sums3 + d);
            s2.Store(sums2 + d);
            s1.Store(sums1 + d);
            s0.Store(sums0 + d);
            t3.Store(sums3 + d + VectorMath.Lanes);
            t2.Store(sums2 + d + VectorMath.Lanes);
            t1.Store(sums1 + d + VectorMath.Lanes);
            t0.Store(sums0 + d + VectorMath.Lanes);
        }

        if (d < length)
        {
            Vector512<float> s0 = Vector512.Load(sums0 + d);
            Vector512<float> s1 = Vector512.Load(sums1 + d);
            Vector512<float> s2 = Vector512.Load(sums2 + d);
            Vector512<float> s3 = Vector512.Load(sums3 + d);
            float* values = _values.Singles + d;
            for (int t = 0; t < count; t++)
            {
                Vector512<float> v = Vector512.Load(values);
                s0 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p0[t]), s0);
                s1 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p1[t]), s1);
                s2 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p2[t]), s2);
                s3 = Vector512.FusedMultiplyAdd(v, Vector512.Create(p3[t]), s3);
                values += length;
            }

            s3.Store(sums3 + d);
            s2.Store(sums2 + d);
            s1.Store(sums1 + d);
            s0.Store(sums0 + d);
        }
    }
}

/// <summary>One key/value head, and what is made of its scores.</summary>
/// <param name="Layer">Layer of the cache.</param>
/// <param name="Index">Head of the layer.</param>
/// <param name="KeyLength">Values of a key, a multiple of 16.</param>
/// <param name="ValueLength">Values of a value, a multiple of 16.</param>
/// <param name="Scale">Multiplies the products.</param>
/// <param name="Cap">c in c · tanh(score / c); 0 for none.</param>
internal readonly record struct AttentionHead(int Layer, int Index, int KeyLength, int ValueLength, float Scale, float Cap);

/// <summary>Query rows of one sequence that read the same head. Each pointer has a value a row.</summary>
internal unsafe struct AttentionRows
{
    public int Count;

    /// <summary>Address of each row's query.</summary>
    public float** Queries;

    /// <summary>Where each row's result goes.</summary>
    public float** Outputs;

    /// <summary>Position of the first key that a row sees.</summary>
    public int* Firsts;

    /// <summary>One behind the last key that a row sees; larger than the first.</summary>
    public int* Ends;

    /// <summary>Scores of the rows' sinks; null without.</summary>
    public float* Sinks;
}
