using Sluice.Inference.Scheduling;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Truth;
using Xunit;

[assembly: AssemblyFixture(typeof(ShippedModel))]

namespace Sluice.Tests.Inference.Truth;

/// <summary>The model that the repository carries, loaded once for all tests that compute with it, which take turns.</summary>
public sealed class ShippedModel : IDisposable
{
    /// <summary>The collection of those tests: one of them already keeps all processors busy.</summary>
    public const string Collection = "shipped model";

    private readonly Lazy<LanguageModel> _model = new(() => TransformerModel.Load(TestFiles.DefaultModel, 2, 16, 16384));
    private readonly Lazy<InferenceEngine> _engine = new(() => InferenceEngine.Load(
        TestFiles.DefaultModel, new EngineOptions { ThreadCount = 2, KvTokenCapacity = 16384 }));

    /// <summary>A model of its own, which no engine drives.</summary>
    internal LanguageModel Model => _model.Value;

    /// <summary>An idle engine.</summary>
    internal InferenceEngine Engine => _engine.Value;

    public void Dispose()
    {
        if (_engine.IsValueCreated)
        {
            _engine.Value.Dispose();
        }

        if (_model.IsValueCreated)
        {
            _model.Value.Dispose();
        }
    }
}
