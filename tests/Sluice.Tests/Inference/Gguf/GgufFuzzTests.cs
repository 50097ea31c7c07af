using Sluice.Inference.Gguf;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Gguf;

/// <summary>Damaged files either open or are refused with a <see cref="GgufException"/>, and cost little memory.</summary>
public sealed class GgufFuzzTests
{
    /// <summary>The sample has less than 2 KiB; what its damaged variants may allocate is a small multiple of that.</summary>
    private const long AllocatedBytesMax = 256 * 1024;

    private static byte[] Sample() => new GgufWriter()
        .Add("general.architecture", "llama").Add("general.alignment", 32u).Add("split.count", (ushort)1)
        .Add("a.u8", (byte)1).Add("a.i64", -1L).Add("a.f64", 1.5).Add("a.flag", true)
        .AddArray("tokens", ["<s>", "hello", "wörld", ""]).AddArray("scores", new[] { 0f, -1f, -2f, -3f })
        .AddArray("types", new[] { 3, 1, 1, 1 })
        .AddTensor("token_embd.weight", [32, 4], GgufTensorType.F16, new float[128])
        .AddTensor("blk.0.attn_q.weight", [32, 2], GgufTensorType.Q4_0, new byte[36])
        .AddTensor("output_norm.weight", [32], GgufTensorType.F32, new float[32])
        .ToArray();

    [Fact]
    public void Open_TruncatedAnywhere_IsRefused()
    {
        var sample = Sample();
        using var temporary = new TemporaryGguf(sample);
        GgufFile.Open(temporary.Path).Dispose();
        for (var length = 0; length < sample.Length; length++)
        {
            temporary.Write(sample.AsSpan(0, length));
            Assert.False(Opens(temporary.Path), $"The first {length} of {sample.Length} bytes open.");
        }
    }

    [Fact]
    public void Open_DamagedBytes_OpensOrIsRefused()
    {
        var sample = Sample();
        var random = new Random(20250101);
        using var temporary = new TemporaryGguf(sample);
        int opened = 0, refused = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var damaged = (byte[])sample.Clone();
            for (var flips = random.Next(1, 5); flips > 0; flips--)
            {
                // Most damage goes to the header; its interesting values are extreme ones.
                var index = random.Next(random.Next(4) == 0 ? damaged.Length : 700);
                damaged[index] = random.Next(3) switch { 0 => 0xFF, 1 => 0, _ => (byte)random.Next(256) };
            }

            temporary.Write(damaged);
            if (Opens(temporary.Path))
            {
                opened++;
            }
            else
            {
                refused++;
            }
        }

        Assert.True(opened > 1000 && refused > 1000, $"{opened} opened, {refused} refused: the damage is one-sided.");
    }

    private static bool Opens(string path)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            using var file = GgufFile.Open(path);
            foreach (var tensor in file.Tensors.Values)
            {
                Assert.InRange(tensor.OffsetBytes, 24, file.SizeBytes - tensor.SizeBytes);
                unsafe
                {
                    var bytes = file.GetPointer(tensor);
                    _ = bytes[0] + bytes[tensor.SizeBytes - 1];
                }
            }

            ReadAll(file.Metadata);
            return true;
        }
        catch (GgufException error)
        {
            Assert.StartsWith(path + ": ", error.Message, StringComparison.Ordinal);
            return false;
        }
        finally
        {
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocatedBytesMax);
        }
    }

    private static void ReadAll(GgufMetadata metadata)
    {
        foreach (var key in new[] { "general.architecture", "a.u8", "a.i64", "a.f64", "a.flag", "tokens", "scores", "types" })
        {
            Try(() => metadata.FindString(key));
            Try(() => metadata.GetInteger(key, 0));
            Try(() => metadata.GetNumber(key, 0));
            Try(() => metadata.GetBoolean(key, false));
            Try(() => GgufMetadataTests.Strings(metadata, key));
            Try(() => metadata.FindSingles(key));
            Try(() => metadata.FindIntegers(key));
            Try(() => metadata.GetIntegerAt(key, 3));
        }
    }

    private static void Try(Func<object?> read)
    {
        try
        {
            read();
        }
        catch (GgufException)
        {
            // A value of another type, or none: an allowed answer.
        }
    }
}
