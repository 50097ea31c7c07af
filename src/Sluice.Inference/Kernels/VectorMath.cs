using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>
/// Element-wise mathematics over single precision, 16 lanes at a time on every processor (narrower ones split a vector), so that results depend
/// on neither the batch nor the thread.
/// </summary>
internal static unsafe class VectorMath
{
    public const int Lanes = 16;

    /// <summary>e^x for x ≤ 88; relative error below 2e-7. Arguments under -87.3 give 0.</summary>
    // Cody-Waite reduction to |r| ≤ ln 2 / 2, then the Taylor polynomial of degree 7, then 2^n by adding n to the exponent bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        Vector512<float> n = Vector512.Round(x * Vector512.Create(1.44269504f));
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        Vector512<float> p = Vector512.Create(1f / 5040);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 720));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 120));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 24));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 6));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.5f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        Vector512<int> bits = p.AsInt32() + Vector512.ShiftLeft(Vector512.ConvertToInt32(n), 23);
        return Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512.Create(-87.3f)), Vector512<float>.Zero, bits.AsSingle());
    }

    /// <summary>output[i] = x[i] / rms(x) · weight[i] with rms = √(mean(x²) + epsilon).</summary>
    /// <param name="x">At least <paramref name="count"/> values.</param>
    /// <param name="weight">At least <paramref name="count"/> values.</param>
    /// <param name="output">May be <paramref name="x"/>.</param>
    /// <param name="count">A multiple of 16.</param>
    /// <param name="epsilon">The model's own.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RmsNorm(float* x, float* weight, float* output, int count, float epsilon)
    {
        Vector512<float> squares = Vector512<float>.Zero;
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> v = Vector512.Load(x + i);
            squares = Vector512.FusedMultiplyAdd(v, v, squares);
        }

        Vector512<float> scale = Vector512.Create(1f / MathF.Sqrt((Vector512.Sum(squares) / count) + epsilon));
        for (int i = 0; i < count; i += Lanes)
        {
            (Vector512.Load(x + i) * scale * Vector512.Load(weight + i)).Store(output + i);
        }
    }

    /// <summary>output[i] = silu(gate[i]) · up[i] with silu(x) = x / (1 + e^-x); <paramref name="count"/> is a multiple of 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SwiGlu(float* gate, float* up, float* output, int count)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> g = Vector512.Load(gate + i);
            Vector512<float> e = Exp(Vector512.Min(-g, Vector512.Create(87f)));
            (g / (Vector512<float>.One + e) * Vector512.Load(up + i)).Store(output + i);
        }
    }

    /// <summary>output[i] = gelu(gate[i]) · up[i] with gelu(x) = x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).</summary>
    /// <param name="gate">The gate.</param>
    /// <param name="up">Null stands for ones.</param>
    /// <param name="output">May be either of the others.</param>
    /// <param name="count">A multiple of 16.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GeGlu(float* gate, float* up, float* output, int count)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            // x / 2 · (1 + tanh(y)) = x · σ(2y)
            Vector512<float> x = Vector512.Load(gate + i);
            Vector512<float> y = x * Vector512.FusedMultiplyAdd(x * x, Vector512.Create(0.0356774081f), Vector512.Create(0.7978845608f));
            Vector512<float> e = Exp(Vector512.Min(y * -2f, Vector512.Create(87f)));
            Vector512<float> result = x / (Vector512<float>.One + e);
            (up == null ? result : result * Vector512.Load(up + i)).Store(output + i);
        }
    }

    /// <summary>output[i] = max(x[i], 0)²; <paramref name="count"/> is a multiple of 16.</summary>
    public static void SquaredRelu(float* x, float* output, int count)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> v = Vector512.Max(Vector512.Load(x + i), Vector512<float>.Zero);
            (v * v).Store(output + i);
        }
    }

    /// <summary>output[i] = g · σ(1.702 g) · (u + 1) with g = min(gate[i], 7) and u = up[i] between -7 and 7; <paramref name="count"/> is a multiple of 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ClampedSwish(float* gate, float* up, float* output, int count)
    {
        Vector512<float> limit = Vector512.Create(7f);
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> g = Vector512.Min(Vector512.Load(gate + i), limit);
            Vector512<float> u = Vector512.Max(Vector512.Min(Vector512.Load(up + i), limit), -limit);
            Vector512<float> e = Exp(Vector512.Min(g * -1.702f, Vector512.Create(87f)));
            (g / (Vector512<float>.One + e) * (u + Vector512<float>.One)).Store(output + i);
        }
    }

    /// <summary>x[i] = cap · tanh(x[i] / cap); <paramref name="count"/> is a multiple of 16.</summary>
    public static void SoftCap(float* x, int count, float cap)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            // tanh(y) = 2 σ(2y) - 1
            Vector512<float> e = Exp(Vector512.Min(Vector512.Load(x + i) * (-2f / cap), Vector512.Create(87f)));
            (((Vector512.Create(2f) / (Vector512<float>.One + e)) - Vector512<float>.One) * cap).Store(x + i);
        }
    }

    /// <summary>output[i] = (x[i] - mean) / √(variance + epsilon) · gain[i] + bias[i].</summary>
    /// <param name="x">At least <paramref name="count"/> values.</param>
    /// <param name="gain">At least <paramref name="count"/> values.</param>
    /// <param name="bias">The same, or null for zeros.</param>
    /// <param name="output">May be <paramref name="x"/>.</param>
    /// <param name="count">A multiple of 16.</param>
    /// <param name="epsilon">The model's own.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LayerNorm(float* x, float* gain, float* bias, float* output, int count, float epsilon)
    {
        Vector512<float> sum = Vector512<float>.Zero;
        for (int i = 0; i < count; i += Lanes)
        {
            sum += Vector512.Load(x + i);
        }

        Vector512<float> mean = Vector512.Create(Vector512.Sum(sum) / count);
        Vector512<float> squares = Vector512<float>.Zero;
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> v = Vector512.Load(x + i) - mean;
            squares = Vector512.FusedMultiplyAdd(v, v, squares);
        }

        Vector512<float> scale = Vector512.Create(1f / MathF.Sqrt((Vector512.Sum(squares) / count) + epsilon));
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> v = (Vector512.Load(x + i) - mean) * scale * Vector512.Load(gain + i);
            (bias == null ? v : v + Vector512.Load(bias + i)).Store(output + i);
        }
    }

    /// <summary>x[i] / rms(x), as <see cref="RmsNorm"/> without a gain.</summary>
    public static void UnitRms(float* x, int count, float epsilon)
    {
        Vector512<float> squares = Vector512<float>.Zero;
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> v = Vector512.Load(x + i);
            squares = Vector512.FusedMultiplyAdd(v, v, squares);
        }

        Scale(x, count, 1f / MathF.Sqrt((Vector512.Sum(squares) / count) + epsilon));
    }

    /// <summary>x[i] *= σ(gate[i]); <paramref name="count"/> is a multiple of 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyBySigmoid(float* x, float* gate, int count)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512<float> e = Exp(Vector512.Min(-Vector512.Load(gate + i), Vector512.Create(87f)));
            (Vector512.Load(x + i) / (Vector512<float>.One + e)).Store(x + i);
        }
    }

    /// <summary>x[i] *= y[i]; <paramref name="count"/> is a multiple of 16.</summary>
    public static void Multiply(float* x, float* y, int count)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            (Vector512.Load(x + i) * Vector512.Load(y + i)).Store(x + i);
        }
    }

    /// <summary>x[i] *= factor; <paramref name="count"/> is a multiple of 16.</summary>
    public static void Scale(float* x, int count, float factor)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            (Vector512.Load(x + i) * factor).Store(x + i);
        }
    }

    /// <summary>x[i] += factor · y[i]; <paramref name="count"/> is a multiple of 16.</summary>
    public static void AddScaled(float* x, float* y, float factor, int count)
    {
        Vector512<float> f = Vector512.Create(factor);
        for (int i = 0; i < count; i += Lanes)
        {
            Vector512.FusedMultiplyAdd(Vector512.Load(y + i), f, Vector512.Load(x + i)).Store(x + i);
        }
    }

    /// <summary>The sum of x[i] · y[i]; <paramref name="count"/> is a multiple of 16.</summary>
    public static float Dot(float* x, float* y, int count)
    {
        Vector512<float> sum = Vector512<float>.Zero;
        for (int i = 0; i < count; i += Lanes)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(y + i), sum);
        }

        return Vector512.Sum(sum);
    }

    /// <summary>x[i] += y[i]; <paramref name="count"/> is a multiple of 16.</summary>
    public static void Add(float* x, float* y, int count)
    {
        for (int i = 0; i < count; i += Lanes)
        {
            (Vector512.Load(x + i) + Vector512.Load(y + i)).Store(x + i);
        }
    }

    /// <summary>Widens 16 halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadHalf(ushort* address)
    {
        Vector256<short> halves = Vector256.Load((short*)address);
        Vector512<int> wide = Vector512.Create(Vector256.WidenLower(halves), Vector256.WidenUpper(halves));
        if (System.Runtime.Intrinsics.X86.Avx512F.IsSupported)
        {
            wide = System.Runtime.Intrinsics.X86.Avx512F.ConvertToVector512Int32(halves);
        }

        Vector512<int> bits = Vector512.ShiftLeft(wide, 13) & Vector512.Create(unchecked((int)0x8FFFE000));
        return bits.AsSingle() * Vector512.Create(HalfBits.Rescale);
    }

    /// <summary>Rounds 16 singles to halves, nearest even; beyond 65,504 to infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ushort> ToHalf(Vector512<float> value)
    {
        Vector512<uint> bits = value.AsUInt32();
        Vector512<uint> sign = bits & Vector512.Create(0x80000000u);
        Vector512<uint> magnitude = bits ^ sign;

        // Below 2^-14 adding one half moves the mantissa to its subnormal place, rounded by the addition itself.
        Vector512<uint> subnormal = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsUInt32() - Vector512.Create(0x3F000000u);
        Vector512<uint> odd = Vector512.ShiftRightLogical(magnitude, 13) & Vector512<uint>.One;
        Vector512<uint> normal = Vector512.ShiftRightLogical(magnitude + Vector512.Create(0xC8000FFFu) + odd, 13);
        Vector512<uint> half = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(0x38800000u)), subnormal, normal);
        half = Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x47800000u)), Vector512.Create(0x7C00u), half);
        half |= Vector512.ShiftRightLogical(sign, 16);
        return Vector256.Narrow(half.GetLower(), half.GetUpper());
    }
}
