using Sluice.Inference.Scheduling;
using Sluice.Inference.Transformer;
using Sluice.Server.Models;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>That the engine does as it is told: context, threads and the type of its cache.</summary>
public sealed class EngineOptionsTests
{
    private static readonly byte[] File = TinyArchitectures.Get("granite").Copy().Replace("context_length", 4096).ToArray();

    [Fact]
    public void A_context_is_as_long_as_is_said_and_no_longer_than_the_file_has()
    {
        using var file = new TemporaryGguf(File);
        foreach (var (asked, found) in ((int?, int)[])[(null, 4096), (600, 600), (9000, 4096)])
        {
            using var engine = InferenceEngine.Load(file.Path, new EngineOptions { ContextLengthMax = asked, SlotCount = 2 });
            Assert.Equal(found, engine.Model.ContextLength);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void As_many_threads_compute_as_is_said(int count)
    {
        using var file = new TemporaryGguf(File);
        using var model = TransformerModel.Load(file.Path, count, 1, 512);
        Assert.Equal(count, model.ThreadCount);
    }

    [Fact]
    public void What_a_model_says_is_what_its_engine_is_told()
    {
        var model = new LocalModel("m", "m.gguf", 1, default) { Context = 1024, Threads = 3, CacheType = KvCacheType.Q8_0 };
        var options = model.ToEngineOptions();
        Assert.Equal((1024, 3, KvCacheType.Q8_0), (options.ContextLengthMax, options.ThreadCount, options.CacheType));
        Assert.Equal(Environment.ProcessorCount, new LocalModel("m", "m.gguf", 1, default).ToEngineOptions().ThreadCount);
    }
}
