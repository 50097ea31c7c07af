using Sluice.Inference.Gguf;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Gguf;

public sealed class GgufFileTests
{
    [Theory]
    [InlineData(2u)]
    [InlineData(3u)]
    public void Open_ValidFile_GivesItsTensorsAndTheirBytes(uint version)
    {
        var writer = new GgufWriter { Version = version }
            .Add("general.architecture", "llama")
            .AddTensor("a", [4, 3], GgufTensorType.F32, Enumerable.Range(0, 12).Select(i => (float)i).ToArray())
            .AddTensor("b", [64], GgufTensorType.Q4_1, Enumerable.Range(0, 40).Select(i => (byte)i).ToArray())
            .AddTensor("c", [2, 2, 2, 2], GgufTensorType.BF16, new float[16]);
        using var temporary = new TemporaryGguf(writer.ToArray());
        using var file = GgufFile.Open(temporary.Path);

        Assert.Equal("llama", file.Metadata.GetString("general.architecture"));
        Assert.Equal(["a", "b", "c"], file.Tensors.Keys);
        Assert.Equal(new FileInfo(temporary.Path).Length, file.SizeBytes);
        var a = file.GetTensor("a");
        Assert.Equal((GgufTensorType.F32, 4L, 3L, 48L, 0L), (a.Type, a.RowLength, a.RowCount, a.SizeBytes, a.OffsetBytes % 32));
        var b = file.GetTensor("b");
        Assert.Equal((64L, 1L, 40L, a.OffsetBytes + 64), (b.RowLength, b.RowCount, b.SizeBytes, b.OffsetBytes));
        Assert.Equal((2L, 8L, 32L), (file.GetTensor("c").RowLength, file.GetTensor("c").RowCount, file.GetTensor("c").SizeBytes));
        unsafe
        {
            Assert.Equal(11f, new ReadOnlySpan<float>(file.GetPointer(a), 12)[11]);
            Assert.Equal(39, file.GetPointer(b)[39]);
        }
    }

    [Fact]
    public void Open_LargerAlignment_IsFollowed()
    {
        var writer = new GgufWriter { Alignment = 256 }
            .Add("general.alignment", 256u)
            .AddTensor("a", [1], GgufTensorType.F32, [1f])
            .AddTensor("b", [1], GgufTensorType.F32, [2f]);
        using var temporary = new TemporaryGguf(writer.ToArray());
        using var file = GgufFile.Open(temporary.Path);
        Assert.Equal(0, file.GetTensor("a").OffsetBytes % 256);
        unsafe
        {
            Assert.Equal(2f, *(float*)file.GetPointer(file.GetTensor("b")));
        }
    }

    [Fact]
    public void GetPointer_AfterDispose_Throws()
    {
        using var temporary = new TemporaryGguf(new GgufWriter().AddTensor("a", [1], GgufTensorType.F32, [1f]).ToArray());
        var file = GgufFile.Open(temporary.Path);
        var tensor = file.GetTensor("a");
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() =>
        {
            unsafe
            {
                file.GetPointer(tensor);
            }
        });
        Assert.Empty(GgufMetadataTests.Strings(file.Metadata, "none") ?? []);
    }

    [Fact]
    public void GetTensor_Missing_NamesTheTensor()
    {
        using var temporary = new TemporaryGguf(new GgufWriter().ToArray());
        using var file = GgufFile.Open(temporary.Path);
        var error = Assert.Throws<GgufException>(() => file.GetTensor("output.weight"));
        Assert.Equal($"{temporary.Path}: tensor 'output.weight': expected in the file, found no tensor of that name.", error.Message);
    }

    [Fact]
    public void Open_NoFile_ThrowsFileNotFound()
    {
        Assert.Throws<FileNotFoundException>(() => GgufFile.Open("no-such-folder/no-such-file.gguf"));
        var error = Assert.Throws<GgufException>(() => GgufFile.Open(Path.GetTempPath()));
        Assert.EndsWith("expected a GGUF file, found a folder.", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, byte[]> Refusals()
    {
        GgufWriter One(ulong[] dimensions, uint type, byte[] data, ulong? offset = null) =>
            new GgufWriter().AddRawTensor("t", dimensions, type, data, offset);
        var number = new byte[] { 1, 0, 0, 0 };
        return new TheoryData<string, byte[]>
        {
            { "header: expected at least 24 bytes, found 0.", [] },
            { "header: expected at least 24 bytes, found 23.", new GgufWriter().ToArray()[..23] },
            {
                "header: expected a GGUF file that starts with 0x46554747, found 0x04034b50.",
                new GgufWriter { Magic = [0x50, 0x4b, 3, 4] }.ToArray()
            },
            {
                "header: expected a GGUF file, found a Git LFS pointer to one (run git lfs pull).",
                "version https://example/spec/v1 oid"u8.ToArray()
            },
            { "header: expected GGUF version 2 or 3, found 1.", new GgufWriter { Version = 1 }.ToArray() },
            { "header: expected GGUF version 2 or 3, found 4.", new GgufWriter { Version = 4 }.ToArray() },
            { "header: expected a little-endian file, found a big-endian one.", new GgufWriter { Version = 0x03000000 }.ToArray() },
            {
                "header: expected at most 262144 tensors, found 18446744073709551615.",
                new GgufWriter { ClaimedTensorCount = ulong.MaxValue }.ToArray()
            },
            {
                "header: expected 1 tensors of at least 33 bytes each, found a file of 24 bytes.",
                new GgufWriter { ClaimedTensorCount = 1 }.ToArray()
            },
            { "header: expected at most 65536 metadata keys, found 65537.", new GgufWriter { ClaimedKeyCount = 65537 }.ToArray() },
            {
                "metadata key 2 of 2: expected 8 more bytes at byte 40, found 0 before the end of the file.",
                new GgufWriter { ClaimedKeyCount = 2 }.Add("abc", (byte)1).ToArray()
            },
            { "metadata key 1 of 1: expected a name, found an empty one.", new GgufWriter().Add("", 1u).ToArray() },
            { "key 'a': expected the key once, found it twice.", new GgufWriter().Add("a", 1u).Add("a", 2u).ToArray() },
            { "key 'a': expected a value type from 0 to 12, found 13.", new GgufWriter().AddRaw("a", 13, number).ToArray() },
            {
                "key 'a': expected a string of at most 2147483647 bytes, found a length of 18446744073709551615.",
                new GgufWriter().AddRaw("a", 8, [.. Enumerable.Repeat((byte)255, 8)]).ToArray()
            },
            {
                "key 'a': expected 5 more bytes at byte 45, found 1 before the end of the file.",
                new GgufWriter().AddRaw("a", 8, [5, 0, 0, 0, 0, 0, 0, 0, 65]).ToArray()
            },
            {
                "key 'a': expected an array of 1099511627776 elements of at least 4 bytes, found 0 before the end of the file.",
                new GgufWriter().AddRaw("a", 9, [4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]).ToArray()
            },
            { "key 'a': expected at most 4 arrays inside one another, found more.", new GgufWriter().AddRaw("a", 9, Nested(5)).ToArray() },
            {
                @"key 'a\u000a\u0007': expected the key once, found it twice.",
                new GgufWriter().Add("a\n\a", 1u).Add("a\n\a", 1u).ToArray()
            },
            {
                "key 'general.alignment': expected a power of two up to 1048576, found 24.",
                new GgufWriter().Add("general.alignment", 24u).ToArray()
            },
            { "key 'general.alignment': expected an integer, found a string.", new GgufWriter().Add("general.alignment", "32").ToArray() },
            {
                "key 'split.no': expected the first shard of the model, found shard 2 of 3.",
                new GgufWriter().Add("split.count", (ushort)3).Add("split.no", (ushort)1).ToArray()
            },
            {
                "key 'split.count': expected at most 1000 shards, found 1001.",
                new GgufWriter().Add("split.count", (ushort)1001).ToArray()
            },
            { "tensor 't': expected 1 to 4 dimensions, found 0.", One([], 0, new byte[64]).ToArray() },
            { "tensor 't': expected 1 to 4 dimensions, found 5.", One([1, 1, 1, 1, 1], 0, new byte[4]).ToArray() },
            {
                "tensor 't': expected dimensions from 1 whose product fits in 63 bits, found 0 as dimension 1.",
                One([1, 0], 0, new byte[4]).ToArray()
            },
            {
                "tensor 't': expected dimensions from 1 whose product fits in 63 bits, found 4294967296 as dimension 2.",
                One([1, 1UL << 32, 1UL << 32], 0, new byte[4]).ToArray()
            },
            {
                "tensor 't': expected a size that fits in 63 bits, found 4294967296 rows of 1073741824 elements.",
                One([1 << 30, 1UL << 32], 0, new byte[4]).ToArray()
            },
            {
                "tensor 't': expected the type F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS or MXFP4, found IQ1_S (take another quantization of the model, such as Q4_K_M).",
                One([256], 19, new byte[84]).ToArray()
            },
            {
                "tensor 't': expected the type F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS or MXFP4, found type 99 (take another quantization of the model, such as Q4_K_M).",
                One([256], 99, new byte[84]).ToArray()
            },
            { "tensor 't': expected rows of a multiple of 32 elements for Q4_1, found 33.", One([33], 3, new byte[40]).ToArray() },
            { "tensor 't': expected an offset that is a multiple of 32, found 8.", One([1], 0, new byte[4], 8).ToArray() },
            {
                "tensor 't': expected 4 bytes at byte 64 of the data, found 4 bytes of data.",
                One([1], 0, new byte[4], 64).ToArray()
            },
            {
                "tensor 't': expected 8 bytes at byte 0 of the data, found 4 bytes of data.",
                One([2], 0, new byte[4]).ToArray()
            },
            {
                "tensor 't': expected the name once, found it twice.",
                One([1], 0, new byte[4]).AddRawTensor("t", [1], 0, new byte[4]).ToArray()
            },
            {
                "tensor 1 of 1: expected a string of at most 64 bytes, found a length of 65.",
                new GgufWriter().AddRawTensor(new string('x', 65), [1], 0, new byte[4]).ToArray()
            },
        };
    }

    [Theory]
    [MemberData(nameof(Refusals))]
    public void Open_WrongFile_SaysWhatIsWrong(string expected, byte[] content)
    {
        using var temporary = new TemporaryGguf(content);
        var error = Assert.Throws<GgufException>(() => GgufFile.Open(temporary.Path));
        Assert.Equal($"{temporary.Path}: {expected}", error.Message);
    }

    private static byte[] Nested(int depth) =>
        depth == 0 ? [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] : [9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, .. Nested(depth - 1)];
}
