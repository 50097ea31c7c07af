namespace Sluice.Inference.Kernels;

/// <summary>The instruction set that the matrix kernels use.</summary>
internal enum KernelPath
{
    Scalar,
    Vector128,
    Avx2,
    Avx512,
}

internal static class KernelPaths
{
    /// <summary>The widest path that this processor has, the runtime's switches that hide instruction sets respected.</summary>
    public static KernelPath Best { get; } =
        Avx512Isa.IsSupported ? KernelPath.Avx512
        : Avx2Isa.IsSupported ? KernelPath.Avx2
        : Vector128Isa.IsSupported ? KernelPath.Vector128
        : KernelPath.Scalar;

    public static bool IsSupported(KernelPath path) => path switch
    {
        KernelPath.Avx512 => Avx512Isa.IsSupported,
        KernelPath.Avx2 => Avx2Isa.IsSupported,
        KernelPath.Vector128 => Vector128Isa.IsSupported,
        _ => true,
    };
}
