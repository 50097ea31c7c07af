namespace Sluice.Inference.Gguf;

/// <summary>
/// A GGUF file, version 2 or 3, or several that make one model, mapped into memory and checked completely when it is opened: afterwards every
/// tensor lies inside its file. Reading is safe from any thread. The one who opened it disposes it, after the last reader. The files must not be
/// changed while they are open.
/// </summary>
public sealed class GgufFile : IDisposable
{
    private readonly GgufShard[] _shards;
    private bool _isDisposed;

    private GgufFile(string path, GgufShard[] shards)
    {
        Path = path;
        _shards = shards;
        Metadata = shards[0].Header.Metadata;
        Tensors = shards.Length == 1
            ? shards[0].Header.Tensors
            : shards.SelectMany(static (shard, index) => shard.Header.Tensors.Values.Select(tensor => tensor with { Shard = index }))
                .ToDictionary(static tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <summary>The path that was opened, as it was given.</summary>
    public string Path { get; }

    /// <summary>Length of the file, or of all files of the model.</summary>
    public long SizeBytes => _shards.Sum(static shard => shard.SizeBytes);

    /// <summary>The file's keys; stays valid after <see cref="Dispose"/>.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>All tensors by name.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors { get; }

    /// <summary>Maps a file and checks its header; where the model has several files, all of them.</summary>
    /// <param name="path">The file, or the first of several: <c>model-00001-of-00003.gguf</c>.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgufException">A file cannot be read, is missing, is not GGUF, is damaged, or needs what is not supported.</exception>
    public static GgufFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new GgufFile(path, GgufShards.Open(path));
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
    public GgufTensor GetTensor(string name) => Tensors.TryGetValue(name, out var tensor)
        ? tensor
        : throw GgufErrors.Create(Path, $"tensor {GgufErrors.Quote(name)}: expected in the file, found no tensor of that name");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            foreach (var shard in _shards) shard.Dispose();
        }
    }

    /// <summary>
    /// First byte of a tensor of this file; <see cref="GgufTensor.SizeBytes"/> bytes can be read, until <see cref="Dispose"/>.
    /// </summary>
    /// <exception cref="GgufException">The file has become shorter since it was opened.</exception>
    internal unsafe byte* GetPointer(GgufTensor tensor)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return _shards[tensor.Shard].GetPointer(tensor);
    }
}
