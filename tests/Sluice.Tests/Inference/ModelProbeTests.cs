using Sluice.Inference;
using Sluice.Inference.Gguf;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Xunit;

namespace Sluice.Tests.Inference;

public sealed class ModelProbeTests
{
    [Fact]
    public void Check_OfAModelThatLoads_SaysNothing()
    {
        using var file = new TemporaryGguf(new TinyModel("good") { ChatTemplate = "{{ messages[0].content }}" }.ToArray());
        ModelProbe.Check(file.Path);
    }

    [Fact]
    public void Check_OfAnUnknownArchitecture_NamesFileAndKey()
    {
        using var file = new TemporaryGguf(new TinyModel("other") { Architecture = "rwkv7" }.ToArray());
        var error = Assert.Throws<GgufException>(() => ModelProbe.Check(file.Path));
        Assert.StartsWith($"{file.Path}: key 'general.architecture': ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_OfATemplateThatIsNone_NamesFileAndKey()
    {
        using var file = new TemporaryGguf(new TinyModel("broken") { ChatTemplate = "{% if %}" }.ToArray());
        var error = Assert.Throws<GgufException>(() => ModelProbe.Check(file.Path));
        Assert.StartsWith($"{file.Path}: key 'tokenizer.chat_template': ", error.Message, StringComparison.Ordinal);
    }
}
