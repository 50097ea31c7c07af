using System.CommandLine;

namespace Sluice.Cli.Commands;

/// <summary>What <c>sluice</c>, <c>sluice --help</c> and <c>sluice help</c> write: every command with its arguments, those in brackets optional.</summary>
internal static class HelpText
{
    private const int UsageWidth = 30;
    private const int UsualWidth = 100;

    // Below it a description has a line of its own.
    private const int WidthMin = 80;

    public static void Write(Terminal terminal, RootCommand root)
    {
        var width = terminal.Width ?? UsualWidth;
        WriteWrapped(terminal.Output, root.Description ?? "", "", "", width);
        terminal.Output.WriteLine();
        terminal.Output.WriteLine("Usage: sluice COMMAND [OPTIONS]");
        terminal.Output.WriteLine();
        foreach (var command in root.Subcommands.Where(static command => !command.Hidden))
        {
            var usage = "  " + Usage(command);
            if (width < WidthMin || usage.Length > UsageWidth - 2)
            {
                terminal.Output.WriteLine(usage);
                usage = "";
            }

            var indent = new string(' ', width < WidthMin ? 4 : UsageWidth);
            WriteWrapped(terminal.Output, command.Description ?? "", usage.PadRight(indent.Length), indent, width);
        }

        terminal.Output.WriteLine();
        WriteWrapped(terminal.Output, "'sluice help COMMAND' has the options of one. What is in brackets is optional.", "", "", width);
    }

    private static string Usage(Command command) => string.Join(' ', command.Arguments.Select(static argument =>
        argument.Arity.MinimumNumberOfValues > 0 ? argument.Name : $"[{argument.Name}]").Prepend(command.Name));

    private static void WriteWrapped(TextWriter output, string text, string line, string indent, int width)
    {
        var isEmpty = true;
        foreach (var word in text.Split(' '))
        {
            if (!isEmpty && line.Length + 1 + word.Length > width)
            {
                output.WriteLine(line);
                (line, isEmpty) = (indent, true);
            }

            line += isEmpty ? word : " " + word;
            isEmpty = false;
        }

        output.WriteLine(line);
    }
}
