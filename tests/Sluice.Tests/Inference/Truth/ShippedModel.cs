using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Truth;
using Xunit;

[assembly: AssemblyFixture(typeof(ShippedModel))]

namespace Sluice.Tests.Inference.Truth;

/// <summary>The model that the repository carries, loaded once for all tests that compute with it. One test at a time uses it.</summary>
public sealed class ShippedModel : IDisposable
{
    private readonly Lazy<TransformerModel> _model = new(() => TransformerModel.Load(TestFiles.DefaultModel, 2, 16, 16384));

    internal LanguageModel Model => _model.Value;

    public void Dispose()
    {
        if (_model.IsValueCreated)
        {
            _model.Value.Dispose();
        }
    }
}

/// <summary>Tests that take turns: the model computes one batch at a time, and one test already keeps all processors busy.</summary>
[CollectionDefinition(Name)]
public sealed class ShippedModelTests
{
    public const string Name = "shipped model";
}
