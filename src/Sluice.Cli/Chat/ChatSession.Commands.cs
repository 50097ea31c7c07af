using Sluice.Server.Configuration;

namespace Sluice.Cli.Chat;

/// <content>Lines that begin with a slash: they are for the program, not for the model.</content>
internal sealed partial class ChatSession
{
    private static readonly (string Name, string Argument, string Does)[] s_commands =
    [
        ("/help", "", "list these commands"),
        ("/system", "[TEXT]", "set the system message; without TEXT, show it"),
        ("/model", "[NAME]", "talk to another model; without NAME, show this one"),
        ("/set", "[NAME VALUE]", "change a setting, such as temperature; without NAME, show them"),
        ("/tools", "[FILE]", "let the model call the functions of a file, whose results you write; off takes them away"),
        ("/retry", "", "ask the last question again"),
        ("/undo", "", "take back the last question and its answer"),
        ("/save", "FILE", "write the conversation as JSON"),
        ("/load", "FILE", "read a conversation that was saved"),
        ("/stats", "", "say what the answers took so far"),
        ("/exit", "", "leave"),
    ];

    private readonly ChatTotals _totals = new();

    // "/etc/hosts has a strange line" is a message.
    private static bool IsCommand(string line) =>
        line[0] == '/' && !line.Contains('\n', StringComparison.Ordinal) && line.Split(' ', 2)[0][1..] is { Length: > 0 } word && word.All(char.IsAsciiLetter);

    /// <summary>Does what the line says; false when the user leaves.</summary>
    private async Task<bool> ObeyAsync(string line)
    {
        var words = line.Split(' ', 2, StringSplitOptions.TrimEntries);
        var (command, argument) = (words[0].ToLowerInvariant(), words.Length > 1 && words[1].Length > 0 ? words[1] : null);
        try
        {
            switch (command)
            {
                case "/exit" or "/quit" or "/bye":
                    return false;
                case "/help":
                    foreach (var (name, takes, does) in s_commands) _terminal.Output.WriteLine($"{name} {takes}".PadRight(18) + does);
                    break;
                case "/system":
                    if (argument is not null) _conversation.SystemMessage = argument;
                    _terminal.Output.WriteLine(_conversation.SystemMessage is { } text ? $"System message: {text}" : "There is no system message.");
                    break;
                case "/model":
                    if (argument is not null) Switch(argument);
                    _terminal.Output.WriteLine($"Model: {Engine.Model.Name}, context {Engine.Model.ContextLength} tokens.");
                    break;
                case "/set":
                    if (argument is not null) _options = ChatSettings.Apply(_options, argument);
                    foreach (var setting in ChatSettings.Describe(_options, _model)) _terminal.Output.WriteLine(setting);
                    break;
                case "/tools":
                    if (argument is not null) _tools = argument == "off" ? null : ChatTools.Read(argument);
                    _terminal.Output.WriteLine(_tools is { } tools ? $"Tools: {string.Join(", ", tools.Tools.Select(static tool => tool.Name))}." : "There are no tools.");
                    break;
                case "/retry":
                    await RetryAsync();
                    break;
                case "/undo":
                    _terminal.Output.WriteLine(_conversation.TakeBack() is { } question ? $"Taken back: {question}" : "There is nothing to take back.");
                    break;
                case "/save":
                    _conversation.Save(Required(command, argument));
                    _terminal.Output.WriteLine($"Saved to {argument}.");
                    break;
                case "/load":
                    _conversation.Load(Required(command, argument));
                    foreach (var asked in _conversation.Questions) _editor?.Remember(asked);
                    _terminal.Output.WriteLine($"Loaded {argument}: {Plural.Of(_conversation.Messages.Count, "message")}.");
                    break;
                case "/stats":
                    _terminal.Output.WriteLine(_totals.ToString());
                    break;
                default:
                    throw new CliException($"There is no command {command};{Near(command)} /help lists them. Begin with // to send a message that begins with a slash.");
            }
        }
        catch (Exception exception) when (exception is CliException or IOException or UnauthorizedAccessException)
        {
            // It costs nobody the conversation.
            _terminal.Error.WriteLine(exception.Message);
        }

        return true;
    }

    private static string Near(string command) =>
        Suggestion.Find(command, s_commands.Select(static known => known.Name)) is { } near ? $" did you mean {near}?" : "";

    private static string Required(string command, string? argument) => argument ?? throw new CliException($"{command} needs the name of a file.");

    // The old model stays where the new one can't be loaded.
    private void Switch(string name)
    {
        var next = _load(name);
        Engine.Dispose();
        _model = next;
    }

    private async Task RetryAsync()
    {
        if (_conversation.TakeBack() is not { } question) throw new CliException("There is no question to ask again.");
        _retryCount++;
        await AskAsync(question);
    }
}
