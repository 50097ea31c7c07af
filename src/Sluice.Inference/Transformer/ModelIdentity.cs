using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Sluice.Inference.Transformer;

/// <summary>
/// Tells a model's file from every other one that is not made to deceive, without reading all of it: by its length, its head, and samples at even
/// distances. A copy has the same identity, whatever its name and time.
/// </summary>
internal static class ModelIdentity
{
    // Metadata of most files, without the vocabulary of some.
    private const int HeadBytes = 1 << 20;

    // A megabyte in all: a few milliseconds, also from a disk.
    private const int SampleCount = 256;
    private const int SampleBytes = 4096;

    /// <summary>Hexadecimal, 32 characters. A cache of another type makes other answers, so it counts as another file.</summary>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static string Of(string path, KvCacheType cacheType = KvCacheType.F16)
    {
        using var file = File.OpenHandle(path);
        long length = RandomAccess.GetLength(file);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[HeadBytes];
        BinaryPrimitives.WriteInt64LittleEndian(buffer, length);
        hash.AppendData(buffer.AsSpan(0, sizeof(long)));
        if (cacheType != KvCacheType.F16)
        {
            hash.AppendData([(byte)cacheType]);
        }

        Add(HeadBytes, 0);
        for (int i = 1; i <= SampleCount; i++)
        {
            Add(SampleBytes, Math.Max(0, length - SampleBytes) * i / SampleCount);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));

        void Add(int count, long offset) => hash.AppendData(buffer.AsSpan(0, RandomAccess.Read(file, buffer.AsSpan(0, count), offset)));
    }
}
