using System.CommandLine;
using System.Text;

namespace Sluice.Cli.Commands;

/// <summary>The scripts, made from the commands and options that there are.</summary>
internal static class CompletionScripts
{
    private static readonly string[] s_takingModels = ["chat", "run", "show", "rm"];

    public static string Bash(RootCommand root)
    {
        var script = new StringBuilder($$"""
            # bash: eval "$(sluice completions bash)"
            _sluice() {
                local cur=${COMP_WORDS[COMP_CWORD]} words
                if ((COMP_CWORD == 1)); then
                    words="{{string.Join(' ', Commands(root).Select(static command => command.Name))}}"
                else
                    case ${COMP_WORDS[1]} in

            """);
        foreach (var command in Commands(root))
            script.Append("        ").AppendJoin('|', command.Aliases.Prepend(command.Name)).Append(") words=\"").AppendJoin(' ', Options(command)).Append("\" ;;\n");
        script.Append($$"""
                    esac
                    case ${COMP_WORDS[1]} in
                    {{string.Join('|', s_takingModels)}}) [[ $cur == -* ]] || words="$words $(sluice {{CompletionsCommand.ModelNames}} 2>/dev/null)" ;;
                    esac
                fi
                COMPREPLY=($(compgen -W "$words" -- "$cur"))
            }
            complete -o default -F _sluice sluice

            """);
        return script.ToString();
    }

    public static string Zsh(RootCommand root)
    {
        var script = new StringBuilder("""
            #compdef sluice
            # zsh: source <(sluice completions zsh), after compinit
            _sluice() {
                local -a found
                if ((CURRENT == 2)); then
                    found=(

            """);
        foreach (var command in Commands(root)) script.Append("            '").Append(command.Name).Append(':').Append(Quoted(command.Description, "'\\''")).Append("'\n");
        script.Append("""
                    )
                    _describe command found
                    return
                fi
                case $words[2] in

            """);
        foreach (var command in Commands(root))
            script.Append("    ").AppendJoin('|', command.Aliases.Prepend(command.Name)).Append(") found=(").AppendJoin(' ', Options(command)).Append(") ;;\n");
        script.Append($$"""
                esac
                case $words[2] in
                {{string.Join('|', s_takingModels)}}) found+=(${(f)"$(sluice {{CompletionsCommand.ModelNames}} 2>/dev/null)"}) ;;
                esac
                compadd -- $found
                _files
            }
            compdef _sluice sluice

            """);
        return script.ToString();
    }

    public static string Fish(RootCommand root)
    {
        var script = new StringBuilder("# fish: sluice completions fish | source\n");
        foreach (var command in Commands(root))
        {
            script.Append("complete -c sluice -n __fish_use_subcommand -f -a ").Append(command.Name).Append(" -d '").Append(Quoted(command.Description, "\\'")).Append("'\n");
            foreach (var option in Known(command))
                script.Append("complete -c sluice -n '__fish_seen_subcommand_from ").AppendJoin(' ', command.Aliases.Prepend(command.Name)).Append("' -l ")
                    .Append(option.Name.TrimStart('-')).Append(" -d '").Append(Quoted(option.Description, "\\'")).Append("'\n");
        }

        script.Append("complete -c sluice -n '__fish_seen_subcommand_from ").AppendJoin(' ', s_takingModels)
            .Append("' -a '(sluice ").Append(CompletionsCommand.ModelNames).Append(" 2>/dev/null)'\n");
        return script.ToString();
    }

    public static string PowerShell(RootCommand root)
    {
        var script = new StringBuilder("""
            # PowerShell: sluice completions powershell | Out-String | Invoke-Expression
            Register-ArgumentCompleter -Native -CommandName sluice -ScriptBlock {
                param($wordToComplete, $commandAst, $cursorPosition)
                $words = @($commandAst.CommandElements | ForEach-Object { $_.ToString() })
                $isFirst = $words.Count -le 1 -or ($words.Count -eq 2 -and $wordToComplete)
                $options = @{

            """);
        foreach (var command in Commands(root))
        {
            foreach (var name in command.Aliases.Prepend(command.Name))
                script.Append("        '").Append(name).Append("' = @(").AppendJoin(", ", Options(command).Select(static option => $"'{option}'")).Append(")\n");
        }

        script.Append($$"""
                }
                $found = if ($isFirst) { $options.Keys | Sort-Object } else { $options[$words[1]] }
                if (-not $isFirst -and @({{string.Join(", ", s_takingModels.Select(static name => $"'{name}'"))}}) -contains $words[1]) { $found = @($found) + @(sluice {{CompletionsCommand.ModelNames}} 2>$null) }
                $found | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
            }

            """);
        return script.ToString();
    }

    private static IEnumerable<Command> Commands(RootCommand root) => root.Subcommands.Where(static command => !command.Hidden);

    private static IEnumerable<Option> Known(Command command) => command.Options.Where(static option => !option.Hidden && option.Name.StartsWith("--", StringComparison.Ordinal));

    private static IEnumerable<string> Options(Command command) => Known(command).Select(static option => option.Name).Append("--help");

    private static string Quoted(string? text, string apostrophe) => (text ?? "").Replace("'", apostrophe, StringComparison.Ordinal).Replace(":", "", StringComparison.Ordinal);
}
