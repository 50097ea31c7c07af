using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Architectures;

/// <summary>
/// Every architecture against llama.cpp, on small random models that both read, with prompts that are longer than their windows. After one token
/// they agree to the last digit of the table. Then llama.cpp also rounds queries and weights of attention to halves, which makes up to 0.01, and
/// where it looks up GELU in a table of halves, one token makes 0.004.
/// </summary>
public sealed class ArchitectureTruthTests(ITestOutputHelper output)
{
    public static TheoryData<string> Decoders => [.. TinyArchitectures.Decoders.Select(static m => m.Name)];

    [Theory]
    [MemberData(nameof(Decoders))]
    public void Log_probabilities_of_the_whole_vocabulary_agree(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name);
        var expected = ArchitectureTruth.Of(name);
        for (var p = 0; p < expected.Length; p++)
        {
            var prompt = ArchitectureTruth.Prompts[p];
            var differences = tiny.Logprobs(prompt).Zip(expected[p], static (ours, theirs) => Math.Abs(ours - theirs)).ToArray();
            output.WriteLine($"after {prompt.Length} tokens: mean {differences.Average():F5}, max {differences.Max():F5}");
            var isExact = prompt.Length == 1 && !name.StartsWith("gemma", StringComparison.Ordinal) && name != "gpt-oss";
            Assert.True(differences.Average() < (isExact ? 0.0001 : 0.003));
            Assert.True(differences.Max() < (isExact ? 0.0005 : 0.012));
        }
    }
}
