using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Gguf;

public sealed class GgufShardTests
{
    [Fact]
    public void A_model_in_three_files_is_the_model_in_one()
    {
        using var whole = TinyModelFile.Load("llama");
        using var shards = new ShardedModel(TinyModel.Get("llama").ToArray(), 3);
        using var model = TransformerModel.Load(shards.Paths[0], 1, 1, 512);

        var cache = new KvSequence();
        TeacherForcing.Prefill(model, cache, [1, 2, 3], 3);
        var expected = new KvSequence();
        TeacherForcing.Prefill(whole.Model, expected, [1, 2, 3], 3);

        Assert.Equal(whole.Model.Logits(0).ToArray(), model.Logits(0).ToArray());
        model.Cache.Release(cache);
        whole.Model.Cache.Release(expected);
    }

    [Fact]
    public void The_size_is_that_of_all_files_and_a_copy_is_one_file()
    {
        using var shards = new ShardedModel(TinyModel.Get("llama").ToArray(), 3);
        using var source = GgufFile.Open(shards.Paths[0]);
        Assert.Equal(shards.Paths.Sum(static path => new FileInfo(path).Length), source.SizeBytes);

        using var stream = new MemoryStream();
        ModelQuantizer.Write(source, QuantizationPlan.Create(source, QuantizationMix.Find("F32")!), stream, null, TestContext.Current.CancellationToken);
        using var copy = new TemporaryGguf(stream.ToArray());
        using var written = GgufFile.Open(copy.Path);
        Assert.Equal(source.Tensors.Keys.Order(), written.Tensors.Keys.Order());
        Assert.Equal(0, written.Metadata.GetInteger("split.count"));
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        using var shards = new ShardedModel(TinyModel.Get("llama").ToArray(), 3);
        File.Delete(shards.Paths[2]);

        Assert.Equal(
            $"{shards.Paths[0]}: expected shard 3 of 3 beside it, found no file 'm-00003-of-00003.gguf'.", ErrorOf(shards.Paths[0]));
    }

    [Fact]
    public void A_later_file_names_the_first()
    {
        using var shards = new ShardedModel(TinyModel.Get("llama").ToArray(), 3);

        Assert.Equal(
            $"{shards.Paths[1]}: key 'split.no': expected the first shard of the model (m-00001-of-00003.gguf), found shard 2 of 3.", ErrorOf(shards.Paths[1]));
    }

    [Fact]
    public void A_name_by_which_no_other_is_found_is_refused()
    {
        using var shards = new ShardedModel(TinyModel.Get("llama").ToArray(), 3);
        var renamed = Path.Combine(Path.GetDirectoryName(shards.Paths[0])!, "renamed.gguf");
        File.Move(shards.Paths[0], renamed);

        Assert.Equal(
            $"{renamed}: key 'split.count': expected a file name that ends in -00001-of-00003.gguf, by which the other shards are found, found 'renamed.gguf'.", ErrorOf(renamed));
    }

    [Fact]
    public void Files_of_another_model_are_refused()
    {
        using var shards = new ShardedModel(TinyModel.Get("llama").ToArray(), 3);
        File.Copy(shards.Paths[1], shards.Paths[2], overwrite: true);
        Assert.Equal($"{shards.Paths[2]}: key 'split.no': expected shard 3 of 3, as the name says, found shard 2 of 3.", ErrorOf(shards.Paths[0]));

        using var others = new ShardedModel(TinyModel.Get("llama-bias").ToArray(), 3);
        File.Copy(others.Paths[2], shards.Paths[2], overwrite: true);
        Assert.Contains("key 'split.tensors.count': expected 21 tensors in all shards, found 2", ErrorOf(shards.Paths[0]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_in_two_files_is_refused()
    {
        using var shards = new ShardedModel(
            new GgufWriter().AddTensor("a", [1], GgufTensorType.F32, [1f]).AddTensor("b", [1], GgufTensorType.F32, [1f]).ToArray(), 2);
        var bytes = File.ReadAllBytes(shards.Paths[1]);
        bytes[bytes.AsSpan().LastIndexOf("b"u8)] = (byte)'a';
        File.WriteAllBytes(shards.Paths[1], bytes);

        Assert.Equal($"{shards.Paths[1]}: tensor 'a': expected the name once, found it in an earlier shard too.", ErrorOf(shards.Paths[0]));
    }

    [Fact]
    public void A_cut_off_shard_is_refused_by_its_name()
    {
        using var shards = new ShardedModel(TinyModel.Get("llama").ToArray(), 3);
        using (var stream = File.OpenWrite(shards.Paths[1])) stream.SetLength(stream.Length / 2);

        Assert.StartsWith($"{shards.Paths[1]}: tensor '", ErrorOf(shards.Paths[0]), StringComparison.Ordinal);
    }

    // What is mapped and no longer there kills the process when it is read.
    [Fact]
    public unsafe void A_file_that_was_cut_off_after_it_was_opened_is_refused()
    {
        using var temporary = new TemporaryGguf(new GgufWriter().AddTensor("a", [4096], GgufTensorType.F32, new float[4096]).ToArray());
        using var file = GgufFile.Open(temporary.Path);
        var length = file.SizeBytes;
        try
        {
            using var stream = new FileStream(temporary.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            stream.SetLength(4096);
        }
        catch (IOException)
        {
            // Where open files are locked it cannot happen.
            return;
        }

        var error = Assert.Throws<GgufException>(() => (nint)file.GetPointer(file.GetTensor("a")));
        Assert.Equal($"{temporary.Path}: tensor 'a': expected a file of {length} bytes as when it was opened, found 4096.", error.Message);
    }

    private static string ErrorOf(string path) => Assert.Throws<GgufException>(() => GgufFile.Open(path)).Message;
}
