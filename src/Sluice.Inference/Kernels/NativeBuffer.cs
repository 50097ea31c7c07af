using System.Runtime.InteropServices;

namespace Sluice.Inference.Kernels;

/// <summary>Memory outside the managed heap, 64-byte aligned; lives until disposed.</summary>
internal sealed unsafe partial class NativeBuffer : IDisposable
{
    private const int Alignment = 64;
    private const int HugePageBytes = 2 << 20;
    private const int AdviseHugePages = 14; // MADV_HUGEPAGE of Linux

    private void* _address;

    /// <param name="sizeBytes">At least 0.</param>
    /// <param name="zeroed">False for memory that is written before it is read: it is not even touched here.</param>
    /// <exception cref="OutOfMemoryException">The system has no such block.</exception>
    public NativeBuffer(long sizeBytes, bool zeroed = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeBytes);
        SizeBytes = sizeBytes;
        bool huge = sizeBytes >= 2 * HugePageBytes;
        _address = NativeMemory.AlignedAlloc((nuint)Math.Max(sizeBytes, Alignment), huge ? (nuint)HugePageBytes : Alignment);
        if (huge && OperatingSystem.IsLinux())
        {
            // Weights are read front to back once per token: fewer page table walks. A refusal costs nothing but speed.
            _ = Advise(_address, (nuint)sizeBytes, AdviseHugePages);
        }

        if (zeroed)
        {
            NativeMemory.Clear(_address, (nuint)Math.Max(sizeBytes, Alignment));
        }

        GC.AddMemoryPressure(Math.Max(sizeBytes, 1));
    }

    ~NativeBuffer() => Free();

    public long SizeBytes { get; }

    public byte* Bytes => (byte*)_address;

    public float* Singles => (float*)_address;

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_address != null)
        {
            NativeMemory.AlignedFree(_address);
            _address = null;
            GC.RemoveMemoryPressure(Math.Max(SizeBytes, 1));
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
