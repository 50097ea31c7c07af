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
    [InlineData("'sluice show --help'", "show")]
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
        Assert.Contains("  chat [MODEL] ", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("  run MODEL [QUESTION] ", _terminal.Output, StringComparison.Ordinal);
        Assert.Empty(_terminal.Error);
    }

    [Fact]
    public async Task Help_fits_forty_columns()
    {
        var terminal = new TestTerminal { Width = 40 };
        Assert.Equal(0, await terminal.RunAsync());
        Assert.All(terminal.Output.Split('\n'), line => Assert.InRange(line.Length, 0, 40));
        Assert.Contains("\n  chat [MODEL]\n    Talk to a model", terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_of_a_command_is_what_its_option_writes()
    {
        Assert.Equal(0, await _terminal.RunAsync("help", "chat"));
        var asked = new TestTerminal();
        Assert.Equal(0, await asked.RunAsync("chat", "--help"));
        Assert.Equal(asked.Output, _terminal.Output);
        Assert.Contains("[<MODEL>]", _terminal.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'serv' is not a command or argument here; did you mean 'serve'? 'sluice --help'", "serv")]
    [InlineData("'lst' is not a command or argument here; did you mean 'list'? 'sluice --help'", "lst")]
    [InlineData("'--modles' is not an option here; did you mean '--models'? 'sluice models --help'", "models", "--modles")]
    [InlineData("'--max-token' is not an option here; did you mean '--max-tokens'? 'sluice chat --help'", "chat", "--max-token", "5")]
    [InlineData("'chta' is not a command; did you mean 'chat'? 'sluice help'", "help", "chta")]
    public async Task A_slip_is_named_with_what_was_meant(string sentence, params string[] arguments)
    {
        Assert.Equal(2, await _terminal.RunAsync(arguments));
        Assert.StartsWith("sluice: " + sentence, _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Version_is_a_number()
    {
        Assert.Equal(0, await _terminal.RunAsync("--version"));
        Assert.Matches(@"^\d+\.\d+\.\d+", _terminal.Output);
        var command = new TestTerminal();
        Assert.Equal(0, await command.RunAsync("version"));
        Assert.Equal(_terminal.Output, command.Output);
    }
}
