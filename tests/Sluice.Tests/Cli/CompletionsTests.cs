using System.Diagnostics;
using Sluice.Cli;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice completions`: scripts for shells, run where there is the shell.</summary>
public sealed class CompletionsTests
{
    private readonly TestTerminal _terminal = new();

    [Theory]
    [InlineData("bash", "--")]
    [InlineData("zsh", "--")]
    [InlineData("fish", "-l ")]
    [InlineData("powershell", "--")]
    public async Task Every_command_and_option_is_in_the_script(string shell, string dashes)
    {
        Assert.Equal(0, await _terminal.RunAsync("completions", shell));
        foreach (var command in CommandLine.Create(_terminal.Terminal).Subcommands.Where(command => !command.Hidden))
        {
            Assert.Contains(command.Name, _terminal.Output, StringComparison.Ordinal);
            foreach (var option in command.Options.Where(option => !option.Hidden)) Assert.Contains(dashes + option.Name.TrimStart('-'), _terminal.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Another_shell_is_one_sentence()
    {
        Assert.Equal(2, await _terminal.RunAsync("completions", "tcsh"));
        Assert.Equal("sluice: 'tcsh' is not a shell that there are completions for; use bash, zsh, fish, powershell.\n", _terminal.Error);
    }

    [Fact]
    public async Task Names_of_models_are_listed_for_the_scripts()
    {
        Assert.Equal(0, await _terminal.RunAsync("complete-models"));
        Assert.Contains("smollm2-135m-instruct\n", _terminal.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sluice ser", "serve")]
    [InlineData("sluice serve --po", "--port")]
    [InlineData("sluice chat smo", "smollm2-135m-instruct")]
    [InlineData("sluice chat --te", "--temperature")]
    [InlineData("sluice list --j", "--json")]
    public async Task Bash_completes_what_is_typed(string typed, string completed)
    {
        if (OperatingSystem.IsWindows() || !File.Exists("/bin/bash")) return;
        await _terminal.RunAsync("completions", "bash");
        // The program itself is another one here.
        var script = $"sluice() {{ echo smollm2-135m-instruct; }}\n{_terminal.Output}\nCOMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _sluice; echo \"${{COMPREPLY[*]}}\"";
        var start = new ProcessStartInfo("/bin/bash", ["-c", script]) { RedirectStandardOutput = true };
        using var bash = Process.Start(start)!;
        Assert.Equal(completed, (await bash.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken)).Trim());
    }
}
