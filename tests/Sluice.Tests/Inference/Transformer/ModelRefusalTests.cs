using System.Text;
using Sluice.Inference.Gguf;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>Files whose headers are in order and whose model would give nonsense: refused with the file and the key or tensor.</summary>
public sealed class ModelRefusalTests
{
    [Fact]
    public void A_tensor_that_would_be_left_out()
    {
        byte[] bytes = new TinyModel("bias") { Architecture = "qwen2", HasBias = true }.ToArray();
        int at = bytes.AsSpan().IndexOf("blk.0.attn_q.bias"u8);
        Encoding.ASCII.GetBytes("blk.0.attn_x.bias").CopyTo(bytes, at);
        Assert.Contains("tensor 'blk.0.attn_x.bias'", Refusal(bytes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_rotation_that_is_no_number(float factor) => Assert.Contains(
        "key 'llama.rope.scaling.factor'", Refusal(new TinyModel("rope") { RopeScaling = "linear", RopeFactor = factor }.ToArray()), StringComparison.Ordinal);

    [Fact]
    public void A_chat_template_that_can_not_be_read() => Assert.Contains(
        "key 'tokenizer.chat_template'", Refusal(new TinyModel("template") { ChatTemplate = "{% if %}" }.ToArray()), StringComparison.Ordinal);

    private static string Refusal(byte[] bytes)
    {
        using var file = new TemporaryGguf(bytes);
        string message = Assert.Throws<GgufException>(() => TransformerModel.Load(file.Path, 1, slotCount: 1, kvTokenCapacity: 64)).Message;
        Assert.StartsWith(file.Path, message, StringComparison.Ordinal);
        return message;
    }
}
