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
    // A GELU from a table, and values beside a sink.
    private static readonly string[] Rounding = ["gemma", "gpt-oss"];

    // 27 and 64 layers: in so many some value falls the other way when it is rounded to a half.
    private static readonly string[] Deep = ["deepseek2-light", "exaone4-window"];

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
            var isDeep = Deep.Contains(name);
            var isExact = prompt.Length == 1 && !isDeep && !Rounding.Any(part => name.StartsWith(part, StringComparison.Ordinal));
            Assert.True(differences.Average() < (isExact ? 0.0001 : isDeep ? 0.006 : 0.003));
            Assert.True(differences.Max() < (isExact ? 0.0005 : isDeep ? 0.025 : 0.012));
        }
    }
}
