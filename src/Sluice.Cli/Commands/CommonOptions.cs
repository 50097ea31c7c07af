using System.CommandLine;

namespace Sluice.Cli.Commands;

/// <summary>Options that several commands have.</summary>
internal static class CommonOptions
{
    /// <summary>A misspelt option must not be taken for the value of the argument.</summary>
    public static Argument<T> NotAnOption<T>(this Argument<T> argument)
    {
        argument.Validators.Add(result =>
        {
            if (result.Tokens.FirstOrDefault(token => token.Value.StartsWith('-') && token.Value.Length > 1) is { } token)
            {
                result.AddError($"'{token.Value}' is not an option here");
            }
        });
        return argument;
    }

    public static Option<bool> Json() => new("--json") { Description = "write JSON, for programs" };

    public static Option<string?> Models() => new("--models")
    {
        Description = "a folder with models, searched before all others",
        HelpName = "DIR",
    };

    public static Option<string?> Config() => new("--config")
    {
        Description = "the configuration; default is sluice.yaml in the working directory, if there is one",
        HelpName = "FILE",
    };
}
