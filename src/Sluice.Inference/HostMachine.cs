using Sluice.Inference.Kernels;
using Sluice.Inference.Transformer;

namespace Sluice.Inference;

/// <summary>What the engine finds on this machine.</summary>
public static class HostMachine
{
    /// <summary>Bytes that can still be taken, by the machine's and the container's count.</summary>
    public static long FreeMemoryBytes => MemoryBudget.FreeBytes();

    /// <summary>What matrices are multiplied with, for people: <c>AVX-512</c>, for example.</summary>
    public static string InstructionSet => KernelPaths.Best switch
    {
        KernelPath.Avx512 => "AVX-512",
        KernelPath.Avx2 => "AVX2",
        KernelPath.Vector128 => "128-bit vectors",
        _ => "no vectors",
    };

    /// <summary>Whether that is the best that processors of its kind have: 128 bits are on Arm, and are not on x86.</summary>
    public static bool IsFast => KernelPaths.Best switch
    {
        KernelPath.Avx512 or KernelPath.Avx2 => true,
        KernelPath.Vector128 => !System.Runtime.Intrinsics.X86.X86Base.IsSupported,
        _ => false,
    };
}
