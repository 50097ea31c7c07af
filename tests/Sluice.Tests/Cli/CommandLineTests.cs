using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>What the command line says to what isn't a command.</summary>
public sealed class CommandLineTests
{
    private readonly TestTerminal _terminal = new();

    [Theory]
    [InlineData("'bogus' is not a command or argument here; 'sluice --help'", "bogus")]
    [InlineData("'--bogus' is not an option here; 'sluice --help'", "--bogus")]
    [InlineData("'--bogus' is not an option here; 'sluice pull --help'", "pull", "--bogus")]
    [InlineData("'--bogus' is not an option here; 'sluice pull --help'", "pull", "name", "--bogus")]
    [InlineData("'two' is not a command or argument here; 'sluice pull --help'", "pull", "one", "two")]
    [InlineData("'sluice pull --help'", "pull")]
    [InlineData("'sluice pull --help'", "pull", "name", "--models")]
    public async Task A_wrong_command_line_is_one_sentence(string sentence, params string[] arguments)
    {
        Assert.Equal(2, await _terminal.RunAsync(arguments));
        Assert.StartsWith("sluice: ", _terminal.Error, StringComparison.Ordinal);
        Assert.Contains(sentence, _terminal.Error, StringComparison.Ordinal);
        Assert.Equal(1, _terminal.Error.AsSpan().Count('\n'));
        Assert.Empty(_terminal.Output);
    }

    [Theory]
    [InlineData]
    [InlineData("--help")]
    [InlineData("-h")]
    public async Task Help_lists_the_commands(params string[] arguments)
    {
        Assert.Equal(0, await _terminal.RunAsync(arguments));
        Assert.Contains("pull <NAME>", _terminal.Output, StringComparison.Ordinal);
        Assert.Empty(_terminal.Error);
    }

    [Fact]
    public async Task Version_is_a_number()
    {
        Assert.Equal(0, await _terminal.RunAsync("--version"));
        Assert.Matches(@"^\d+\.\d+\.\d+", _terminal.Output);
    }
}
