using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Inference.Gguf;

/// <summary>
/// A GGUF file, version 2 or 3, mapped into memory and checked completely when it is opened: afterwards every tensor lies inside the file.
/// Reading is safe from any thread. The one who opened it disposes it, after the last reader. The file must not be changed while it is
/// open.
/// </summary>
public sealed class GgufFile : IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly GgufHeader _header;
    private readonly unsafe byte* _start;
    private bool _isDisposed;

    private unsafe GgufFile(string path, MemoryMappedFile map, long sizeBytes)
    {
        Path = path;
        SizeBytes = sizeBytes;
        _map = map;
        _view = map.CreateViewAccessor(0, sizeBytes, MemoryMappedFileAccess.Read);
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _start = start + _view.PointerOffset;
        try
        {
            var headerBytes = (int)Math.Min(sizeBytes, GgufLimits.HeaderBytesMax);
            _header = GgufHeader.Read(new ReadOnlySpan<byte>(_start, headerBytes), sizeBytes, path);
        }
        catch
        {
            Unmap();
            throw;
        }
    }

    /// <summary>The path that was opened, as it was given.</summary>
    public string Path { get; }

    /// <summary>Length of the file.</summary>
    public long SizeBytes { get; }

    /// <summary>The file's keys; stays valid after <see cref="Dispose"/>.</summary>
    public GgufMetadata Metadata => _header.Metadata;

    /// <summary>All tensors by name.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors => _header.Tensors;

    /// <summary>Maps a file and checks its header.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgufException">The file cannot be read, is not GGUF, is damaged, or needs what is not supported.</exception>
    public static GgufFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var info = FindTarget(path);
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

    /// <summary>The file that a path leads to: a link has a length and a time of its own.</summary>
    public static FileInfo FindTarget(string path)
    {
        var file = new FileInfo(path);
        try
        {
            return file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        }
        catch (IOException)
        {
            // Links in a circle. Opening it says so.
            return file;
        }
    }

    /// <summary>A tensor that must be there.</summary>
    /// <exception cref="GgufException">The file has no tensor of that name.</exception>
    public GgufTensor GetTensor(string name) => _header.Tensors.TryGetValue(name, out var tensor)
        ? tensor
        : throw GgufErrors.Create(Path, $"tensor {GgufErrors.Quote(name)}: expected in the file, found no tensor of that name");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            Unmap();
        }
    }

    /// <summary>
    /// First byte of a tensor of this file; <see cref="GgufTensor.SizeBytes"/> bytes can be read, until <see cref="Dispose"/>.
    /// </summary>
    internal unsafe byte* GetPointer(GgufTensor tensor)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tensor.OffsetBytes, SizeBytes - tensor.SizeBytes);
        return _start + tensor.OffsetBytes;
    }

    private static GgufFile Map(string path)
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
            return new GgufFile(path, map, sizeBytes);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    private void Unmap()
    {
        SafeMemoryMappedViewHandle handle = _view.SafeMemoryMappedViewHandle;
        handle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }
}
