using Sluice.Inference.Gguf;

namespace Sluice.Tests.Inference.Gguf;

/// <summary>A model in several files of a folder of their own, as llama-gguf-split cuts it: keys in the first, tensors in the order of the file.</summary>
internal sealed unsafe class ShardedModel : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-shards-").FullName;

    /// <param name="model">The model in one file.</param>
    /// <param name="shardCount">Files.</param>
    public ShardedModel(byte[] model, int shardCount)
    {
        using var whole = new TemporaryGguf(model);
        using var file = GgufFile.Open(whole.Path);
        var tensors = file.Tensors.Values.OrderBy(static tensor => tensor.OffsetBytes).ToArray();
        Paths = [.. Enumerable.Range(1, shardCount).Select(number => Path.Combine(_folder, $"m-{number:D5}-of-{shardCount:D5}.gguf"))];
        for (var i = 0; i < shardCount; i++)
        {
            using var empty = new TemporaryGguf(new Sluice.Testing.GgufWriter().ToArray());
            using var keyless = GgufFile.Open(empty.Path);
            var (keys, keyCount) = (i == 0 ? file : keyless).Metadata
                .CopyWith(("split.no", (byte)i), ("split.count", (byte)shardCount), ("split.tensors.count", (byte)tensors.Length));
            Write(Paths[i], keys, keyCount, file, tensors[(tensors.Length * i / shardCount)..(tensors.Length * (i + 1) / shardCount)]);
        }
    }

    /// <summary>The files in their order.</summary>
    public string[] Paths { get; }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Write(string path, byte[] keys, int keyCount, GgufFile source, GgufTensor[] tensors)
    {
        using var writer = new BinaryWriter(File.Create(path));
        writer.Write("GGUF"u8);
        writer.Write(3);
        writer.Write((long)tensors.Length);
        writer.Write((long)keyCount);
        writer.Write(keys);
        var offset = 0L;
        foreach (var tensor in tensors)
        {
            writer.Write((long)tensor.Name.Length);
            writer.Write(tensor.Name.AsSpan());
            writer.Write(tensor.Dimensions.Count);
            foreach (var dimension in tensor.Dimensions) writer.Write(dimension);
            writer.Write((uint)tensor.Type);
            writer.Write(offset);
            offset += (tensor.SizeBytes + 31) & -32;
        }

        foreach (var tensor in tensors)
        {
            Pad(writer);
            writer.Write(new ReadOnlySpan<byte>(source.GetPointer(tensor), (int)tensor.SizeBytes));
        }
    }

    private static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        while (writer.BaseStream.Position % 32 != 0) writer.Write((byte)0);
    }
}
