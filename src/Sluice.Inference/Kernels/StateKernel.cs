using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Sluice.Inference.Kernels;

/// <summary>One token through the state of a head. Sums have one order, on every processor.</summary>
internal static unsafe class StateKernel
{
    /// <summary>ln(1 + e^x).</summary>
    public static float Softplus(float x) => x > 20 ? x : MathF.Log(1 + MathF.Exp(x));

    /// <summary>M ← decay · M; M ← M + k (β (v - Mᵀk))ᵀ; result = Mᵀq / √side.</summary>
    /// <param name="state">M: (side of keys, side of values).</param>
    /// <param name="q">Of length 1 or 0.</param>
    /// <param name="k">Of length 1 or 0.</param>
    /// <param name="v">The value.</param>
    /// <param name="decay">At most 1.</param>
    /// <param name="beta">0 to 1.</param>
    /// <param name="side">A multiple of 16.</param>
    /// <param name="result">May not be <paramref name="v"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void DeltaRule(float* state, float* q, float* k, float* v, float decay, float beta, int side, float* result)
    {
        float scale = 1f / MathF.Sqrt(side);

        // Values don't see one another: 16 of them go down the whole matrix before the next ones.
        for (int column = 0; column < side; column += VectorMath.Lanes)
        {
            float* m = state + column;
            Vector512<float> known = Vector512<float>.Zero;
            for (int i = 0; i < side; i++)
            {
                Vector512<float> row = Vector512.Load(m + ((long)i * side)) * decay;
                row.Store(m + ((long)i * side));
                known = Vector512.FusedMultiplyAdd(row, Vector512.Create(k[i]), known);
            }

            Vector512<float> delta = (Vector512.Load(v + column) - known) * beta;
            Vector512<float> sum = Vector512<float>.Zero;
            for (int i = 0; i < side; i++)
            {
                Vector512<float> row = Vector512.FusedMultiplyAdd(delta, Vector512.Create(k[i]), Vector512.Load(m + ((long)i * side)));
                row.Store(m + ((long)i * side));
                sum = Vector512.FusedMultiplyAdd(row, Vector512.Create(q[i]), sum);
            }

            (sum * scale).Store(result + column);
        }
    }

    /// <summary>s ← decay · s + step · x ⊗ b; result = s c + skip · x.</summary>
    /// <param name="state">s: (width, length).</param>
    /// <param name="x">Of the head: width values.</param>
    /// <param name="b">length values.</param>
    /// <param name="c">length values.</param>
    /// <param name="step">Δ.</param>
    /// <param name="decay">At most 1.</param>
    /// <param name="skip">d.</param>
    /// <param name="width">Values of the head.</param>
    /// <param name="length">A multiple of 16.</param>
    /// <param name="result">width values.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Mamba2(
        float* state, float* x, float* b, float* c, float step, float decay, float skip, int width, int length, float* result)
    {
        for (int p = 0; p < width; p++)
        {
            float* row = state + ((long)p * length);
            Vector512<float> input = Vector512.Create(step * x[p]);
            Vector512<float> sum = Vector512<float>.Zero;
            for (int n = 0; n < length; n += VectorMath.Lanes)
            {
                Vector512<float> s = Vector512.FusedMultiplyAdd(input, Vector512.Load(b + n), Vector512.Load(row + n) * decay);
                s.Store(row + n);
                sum = Vector512.FusedMultiplyAdd(s, Vector512.Load(c + n), sum);
            }

            result[p] = Vector512.Sum(sum) + (skip * x[p]);
        }
    }
}
