using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Inference.Gguf;

/// <summary>One file of a model, mapped into memory, with its header. Most models have one.</summary>
internal sealed class GgufShard : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly unsafe byte* _start;

    private unsafe GgufShard(string path, SafeFileHandle handle, MemoryMappedFile map, long sizeBytes)
    {
        Path = path;
        SizeBytes = sizeBytes;
        _handle = handle;
        _map = map;
        _view = map.CreateViewAccessor(0, sizeBytes, MemoryMappedFileAccess.Read);
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _start = start + _view.PointerOffset;
        try
        {
            var headerBytes = (int)Math.Min(sizeBytes, GgufLimits.HeaderBytesMax);
            Header = GgufHeader.Read(new ReadOnlySpan<byte>(_start, headerBytes), sizeBytes, path);
        }
        catch
        {
            Unmap();
            throw;
        }
    }

    public string Path { get; }

    /// <summary>Length of the file when it was opened.</summary>
    public long SizeBytes { get; }

    public GgufHeader Header { get; }

    /// <summary>Maps a file and checks its header.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgufException">The file cannot be read, is not GGUF, is damaged, or needs what is not supported.</exception>
    public static GgufShard Open(string path)
    {
        var info = GgufFile.FindTarget(path);
        if (Directory.Exists(path))
        {
            throw GgufErrors.Create(path, "expected a GGUF file, found a folder");
        }

        if (!info.Exists)
        {
            throw new FileNotFoundException($"{path}: expected a GGUF file, found nothing.", path);
        }

        // Before the file is opened: pipes and devices have no length and would block or never end.
        if (info.Length < GgufHeader.BytesMin)
        {
            throw GgufErrors.Create(
                path, FormattableString.Invariant($"header: expected at least {GgufHeader.BytesMin} bytes, found {info.Length}"));
        }

        try
        {
            return Map(path);
        }
        catch (Exception error) when (error is UnauthorizedAccessException or IOException and not (GgufException or FileNotFoundException))
        {
            throw new GgufException($"{path}: expected a readable GGUF file, found: {error.Message}", error);
        }
    }

    /// <summary>First byte of a tensor of this file; <see cref="GgufTensor.SizeBytes"/> bytes can be read.</summary>
    /// <exception cref="GgufException">The file has become shorter: reading beyond its end would kill the process.</exception>
    public unsafe byte* GetPointer(GgufTensor tensor)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tensor.OffsetBytes, SizeBytes - tensor.SizeBytes);
        var length = RandomAccess.GetLength(_handle);
        if (length < tensor.OffsetBytes + tensor.SizeBytes)
        {
            throw GgufErrors.Create(
                Path,
                FormattableString.Invariant($"tensor {GgufErrors.Quote(tensor.Name)}: expected a file of {SizeBytes} bytes as when it was opened, found {length}"));
        }

        return _start + tensor.OffsetBytes;
    }

    public void Dispose() => Unmap();

    private static GgufShard Map(string path)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        MemoryMappedFile map;
        long sizeBytes;
        try
        {
            sizeBytes = stream.Length;
            map = MemoryMappedFile.CreateFromFile(
                stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        }
        catch
        {
            stream.Dispose();
            throw;
        }

        try
        {
            return new GgufShard(path, stream.SafeFileHandle, map, sizeBytes);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    private void Unmap()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }
}
