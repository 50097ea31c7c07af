using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>What the command line says of how models are run.</summary>
public sealed class EngineFlagsTests
{
    [Theory]
    [InlineData("--context", "5", "--context is a whole number from 512 to 268435456, not '5'")]
    [InlineData("--threads", "none", "--threads is a whole number from 1 to 1024, not 'none'")]
    [InlineData("--cache-type", "q4_0", "--cache-type must be f16 or q8_0, not 'q4_0'")]
    [InlineData("--keep-alive", "soon", "--keep-alive is a duration such as 5m, 0, or -1 for as long as its memory is not needed, not 'soon'")]
    public async Task A_wrong_value_is_one_sentence(string option, string value, string message)
    {
        foreach (var command in (string[])["serve", "run", "chat"])
        {
            if (option == "--keep-alive" && command != "serve") continue;
            var terminal = new TestTerminal();
            Assert.Equal(2, await terminal.RunAsync(command == "run" ? [command, "m", option, value] : [command, option, value]));
            Assert.StartsWith($"sluice: {message}", terminal.Error, StringComparison.Ordinal);
        }
    }

    // Its template alone is longer than the context.
    [Fact]
    public async Task The_context_of_a_question_is_as_long_as_is_said()
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get("granite").Copy().Replace("context_length", 4096).ToArray());
        var question = string.Concat(Enumerable.Repeat("x", 700));
        foreach (var (context, isEnough) in ((string, bool)[])[("512", false), ("2048", true)])
        {
            var terminal = new TestTerminal();
            var code = await terminal.RunAsync("run", file.Path, question, "--max-tokens", "2", "--context", context, "--threads", "1", "--cache-type", "q8_0");
            Assert.Equal(isEnough, code == 0);
        }
    }
}
