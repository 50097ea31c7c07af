using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Inference.Sampling;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>A tiny model written to a temporary file and loaded from it.</summary>
internal sealed class TinyModelFile : IDisposable
{
    private readonly TemporaryGguf _file;

    private TinyModelFile(byte[] bytes, int threadCount, KvCacheType cacheType = KvCacheType.F16)
    {
        _file = new TemporaryGguf(bytes);
        Model = TransformerModel.Load(_file.Path, threadCount, slotCount: 16, kvTokenCapacity: 4096, cacheType: cacheType);
    }

    public LanguageModel Model { get; }

    public static TinyModelFile Load(string name, int threadCount = 1) => new(TinyModel.Get(name).ToArray(), threadCount);

    /// <summary>One of <see cref="TinyArchitectures"/>.</summary>
    public static TinyModelFile LoadArchitecture(string name, int threadCount = 1) => Load(TinyArchitectures.Get(name), threadCount);

    /// <summary>One of <see cref="TinyArchitectures"/> with another cache.</summary>
    public static TinyModelFile LoadArchitecture(string name, KvCacheType cacheType, int threadCount = 1) =>
        new(TinyArchitectures.Get(name).ToArray(), threadCount, cacheType);

    public static TinyModelFile Load(byte[] file) => new(file, 1);

    public static TinyModelFile Load(TinyArchitecture model, int threadCount = 1) => new(model.ToArray(), threadCount);

    /// <summary>With matrices of a type, or with those turned to F32 by this engine's own <see cref="RowReader"/>.</summary>
    public static TinyModelFile LoadArchitecture(string name, GgufTensorType type, bool dequantized = false, int threadCount = 1) =>
        new(TinyArchitectures.Get(name).ToArray(type, dequantized ? Dequantize : null), threadCount);

    /// <summary>With quantised weights turned to F32 by this engine's own <see cref="RowReader"/>.</summary>
    public static TinyModelFile LoadDequantized(string name) => new(TinyModel.Get(name).ToArray(Dequantize), 1);

    /// <summary>Log probabilities of all tokens after a prompt.</summary>
    public double[] Logprobs(int[] prompt)
    {
        var cache = new KvSequence();
        TeacherForcing.Prefill(Model, cache, prompt, prompt.Length);
        var logits = Model.Logits(0).ToArray();
        Model.Cache.Release(cache);
        var sum = LogprobReader.LogSumExp(logits);
        return [.. logits.Take(TinyModel.VocabularySize).Select(logit => logit - sum)];
    }

    public void Dispose()
    {
        Model.Dispose();
        _file.Dispose();
    }

    private static unsafe float[] Dequantize(GgufTensorType type, byte[] blocks, long count)
    {
        var values = new float[count];
        fixed (byte* source = blocks)
        fixed (float* target = values)
        {
            RowReader.Read(type, source, target, count);
        }

        return values;
    }
}
