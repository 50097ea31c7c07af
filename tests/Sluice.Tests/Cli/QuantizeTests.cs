using Sluice.Inference.Gguf;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice quantize`.</summary>
public sealed class QuantizeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-quantize-").FullName;
    private readonly TestTerminal _terminal = new();

    private string Source => Path.Combine(_folder, "tiny-f32.gguf");

    public QuantizeTests() => new GgufWriter().Add("general.architecture", "x")
        .AddTensor("a.weight", [32, 4], GgufTensorType.F32, new RandomBlocks("a").Singles(128, 0.1)).Save(Source);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task The_file_beside_the_model_has_the_type_in_its_name()
    {
        Assert.Equal(0, await _terminal.RunAsync("quantize", Source, "q4_0"));

        using var written = GgufFile.Open(Path.Combine(_folder, "tiny-Q4_0.gguf"));
        Assert.Equal(GgufTensorType.Q4_0, written.GetTensor("a.weight").Type);
        Assert.Contains("1 tensors Q4_0", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("root mean square error", _terminal.Output, StringComparison.Ordinal);
        Assert.Equal(["tiny-Q4_0.gguf", "tiny-f32.gguf"], Directory.GetFiles(_folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_is_quantised_is_not_quantised_again_unasked()
    {
        var small = Path.Combine(_folder, "small.gguf");
        Assert.Equal(0, await _terminal.RunAsync("quantize", Source, "Q8_0", small));

        await AssertRefusedAsync($"{small} is already quantized (a.weight is Q8_0); start from a model in F16, BF16 or F32", small, "Q4_0");
        Assert.Equal(0, await _terminal.RunAsync("quantize", small, "Q4_0", Path.Combine(_folder, "smaller.gguf"), "--allow-requantize"));
        Assert.Equal(0, await _terminal.RunAsync("quantize", small, "F16", Path.Combine(_folder, "larger.gguf")));
    }

    [Fact]
    public async Task A_file_that_is_there_stays_unless_it_is_to_be_replaced()
    {
        var target = Path.Combine(_folder, "t.gguf");
        await File.WriteAllTextAsync(target, "mine", TestContext.Current.CancellationToken);

        await AssertRefusedAsync($"{target} already exists; use --force to replace it.", Source, "Q8_0", target);
        Assert.Equal("mine", await File.ReadAllTextAsync(target, TestContext.Current.CancellationToken));
        Assert.Equal(0, await _terminal.RunAsync("quantize", Source, "Q8_0", target, "--force"));
        await AssertRefusedAsync($"{Source} is the model itself", Source, "Q8_0", Source, "--force");
    }

    [Fact]
    public async Task A_run_that_fails_leaves_nothing_behind()
    {
        new GgufWriter().AddTensor("a.weight", [32, 1], GgufTensorType.F32, [.. Enumerable.Repeat(float.NaN, 32)]).Save(Source);

        await AssertRefusedAsync($"{Source}: tensor 'a.weight': expected values up to 65504 for Q8_0", Source, "Q8_0");
        Assert.Equal([Source], Directory.GetFiles(_folder));
    }

    [Theory]
    [InlineData("Q2_K", "TYPE 'Q2_K' is not a type that can be written; the types are Q4_0, Q4_1,")]
    [InlineData("3", "TYPE '3' is not a type that can be written")]
    public Task A_type_that_is_not_written_is_named(string type, string sentence) => AssertRefusedAsync(sentence, Source, type);

    [Fact]
    public Task A_model_that_is_not_there_is_named() => AssertRefusedAsync("/not/there.gguf: expected a GGUF file, found nothing.", "/not/there.gguf", "Q8_0");

    private async Task AssertRefusedAsync(string sentence, params string[] arguments)
    {
        var before = _terminal.Error.Length;
        Assert.Equal(2, await _terminal.RunAsync(["quantize", .. arguments]));
        var error = _terminal.Error[before..];
        Assert.StartsWith("sluice: " + sentence, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }
}
