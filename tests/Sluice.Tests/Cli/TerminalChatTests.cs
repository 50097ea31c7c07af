using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary><c>sluice chat</c> as a person meets it: in a real pseudo-terminal, key by key.</summary>
public sealed class TerminalChatTests
{
    private const string CtrlC = "\u0003";
    private const string Up = "\u001B[A";
    private static readonly string[] s_chat = ["chat", "smollm2-135m-instruct", "--models", RepositoryFiles.FullPath("models"), "--seed", "3", "--temperature", "0"];

    [Fact]
    public async Task History_search_lines_and_completion_work_with_keys()
    {
        await using var terminal = PseudoTerminal.Start(60, "", [.. s_chat, "--max-tokens", "6"]);
        var at = await terminal.SeeAsync("lists the commands[^>]*> ");
        await terminal.TypeAsync("Say hello.\r");
        at = await terminal.SeeAsync(@"\[6 tokens, [^>]*> ", at);
        // The last message again, with a wide character and another line.
        await terminal.TypeAsync(Up);
        at = await terminal.SeeAsync("> Say hello\\.", at);
        await terminal.TypeAsync(" 世界\u001B\rAnd then this.");
        at = await terminal.SeeAsync("> Say hello. 世界\n  And then this\\.", at);
        await terminal.TypeAsync("\r");
        at = await terminal.SeeAsync(@"\[6 tokens, [^>]*> ", at);
        // Backwards through what was written.
        await terminal.TypeAsync("\u0012hello");
        at = await terminal.SeeAsync(@"\(search: hello\) Say hello. 世界", at);
        await terminal.TypeAsync("\u0012");
        at = await terminal.SeeAsync(@"\(search: hello\) Say hello\.(?! 世)", at);
        await terminal.TypeAsync("\u0007/sys\t");
        at = await terminal.SeeAsync("> /system ", at);
        await terminal.TypeAsync("Be brief.\r");
        at = await terminal.SeeAsync("System message: Be brief\\.", at);
        await terminal.TypeAsync("/save /nowhere/x\u0015/stats\r");
        at = await terminal.SeeAsync("2 answers: ", at);
        await terminal.TypeAsync("\u0004");
        Assert.Equal(0, await terminal.EndAsync());
        Assert.DoesNotContain("/save", terminal.Text[at..], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ctrl_C_stops_the_answer_and_twice_it_leaves()
    {
        await using var terminal = PseudoTerminal.Start(60, "", [.. s_chat, "--max-tokens", "4000"]);
        var at = await terminal.SeeAsync("lists the commands[^>]*> ");
        await terminal.TypeAsync("Count from one to one thousand in words.\r");
        at = await terminal.SeeAsync("words\\.\n(.*\\d s)*\\S", at);
        // Its first text is there when the spinner is not.
        at = await terminal.SeeAsync("[a-z]{3,}", at);
        await terminal.TypeAsync(CtrlC);
        at = await terminal.SeeAsync(@"stopped\]", at);
        at = await terminal.SeeAsync("> ", at);
        // What is typed goes first, then a hint comes, then the end.
        await terminal.TypeAsync("abc");
        at = await terminal.SeeAsync("abc", at);
        await terminal.TypeAsync(CtrlC);
        at = await terminal.SeeAsync("> ", at);
        await terminal.TypeAsync("x\u007F");
        at = await terminal.SeeAsync("> $", at);
        await terminal.TypeAsync(CtrlC);
        at = await terminal.SeeAsync("Ctrl-C again leaves", at);
        await terminal.TypeAsync(CtrlC);
        Assert.Equal(0, await terminal.EndAsync());
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("NO_COLOR=1", false)]
    [InlineData("TERM=dumb", false)]
    public async Task A_spinner_waits_and_colors_come_only_where_they_may(string variables, bool hasColor)
    {
        await using var terminal = PseudoTerminal.Start(30, variables, [.. s_chat, "--max-tokens", "40"]);
        var at = await terminal.SeeAsync("lists the[ \n]*commands[^>]*> ");
        await terminal.TypeAsync($"Write a Python function that adds two numbers.{(variables.StartsWith("TERM", StringComparison.Ordinal) ? '\n' : '\r')}");
        await terminal.SeeAsync(@"\[\d+[ \n]*tokens", at);
        var text = terminal.Output;
        Assert.Equal(hasColor || variables.StartsWith("NO_", StringComparison.Ordinal), text.Contains(" reading, ", StringComparison.Ordinal));
        Assert.Equal(hasColor, text.Contains("\u001B[1m", StringComparison.Ordinal) || text.Contains("\u001B[33m", StringComparison.Ordinal) || text.Contains("\u001B[36m", StringComparison.Ordinal));
        await terminal.TypeAsync(variables.StartsWith("TERM", StringComparison.Ordinal) ? "/exit\n" : "/exit\r");
        Assert.Equal(0, await terminal.EndAsync());
    }
}
