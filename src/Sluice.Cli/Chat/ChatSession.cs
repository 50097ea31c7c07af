using System.Globalization;
using System.Text;
using Sluice.Inference.Prompting;
using Sluice.Inference.Scheduling;
using Sluice.Inference.ToolCalls;

namespace Sluice.Cli.Chat;

/// <summary>
/// A conversation in the terminal. Ctrl-C ends the answer that is running; twice it ends the conversation. With a pipe as input, all of it is
/// one message, and the program ends with its answer.
/// </summary>
internal sealed partial class ChatSession : IDisposable
{
    private const string EmptyPrompt = "The model's chat template makes an empty prompt of the messages: there is nothing to answer.";
    private const string Block = "\"\"\"";
    private const string Faint = "\u001B[2m";
    private const string Reset = "\u001B[0m";

    private readonly Terminal _terminal;
    private readonly Func<string, ChatModel> _load;
    private readonly ChatHistory _conversation;
    private readonly LineEditor? _editor;
    private readonly TaskCompletionSource _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ChatModel _model;
    private ChatOptions _options;
    private PromptTools? _tools;
    private EngineGeneration? _running;
    private ulong _retryCount;
    private int _interruptCount;

    public ChatSession(Terminal terminal, ChatModel first, Func<string, ChatModel> load, ChatOptions options)
    {
        (_terminal, _model, _load, _options) = (terminal, first, load, options);
        _conversation = new ChatHistory(options.SystemMessage);
        if (terminal.ReadKey is not null) _editor = new LineEditor(terminal, [.. s_commands.Select(static command => command.Name)]) { Pressed = () => _interruptCount = 0 };
    }

    private InferenceEngine Engine => _model.Engine;

    public void Dispose() => Engine.Dispose();

    /// <param name="question">The only one; null takes what is typed, or all of a pipe.</param>
    public async Task<int> RunAsync(string? question)
    {
        using var registration = _terminal.OnInterrupt(Interrupt);
        if (question is null && _terminal.IsInputInteractive)
        {
            await TalkAsync();
            return ExitCodes.Success;
        }

        // Some programs begin what they write with a byte order mark.
        question = (question ?? await _terminal.Input.ReadToEndAsync()).Trim().TrimStart('\uFEFF').Trim();
        if (question.Length == 0) throw new CliException("The input is empty; pipe a question in, or start 'sluice chat' in a terminal.");
        _conversation.Ask(question);
        if (Fit() is not { } prompt) throw new CliException(TooLong);
        if (prompt.Tokens.Count == 0) throw new CliException(EmptyPrompt);
        // Beside the answer alone, the figures belong on the other stream.
        return await AnswerAsync(prompt, _terminal.Error) ? ExitCodes.Success : ExitCodes.Interrupted;
    }

    private string TooLong => string.Create(CultureInfo.InvariantCulture, $"The message is longer than the model's context of {Engine.Model.ContextLength} tokens.");

    private async Task TalkAsync()
    {
        _terminal.Output.WriteLine($"{Engine.Model.Name}. Ctrl-C stops an answer, twice it leaves; /help lists the commands.");
        while (await ReadMessageAsync("> ") is { } message)
        {
            if (message.Length == 0) continue;
            if (!IsCommand(message))
            {
                _retryCount = 0;
                // So a message can begin with a slash.
                await AskAsync(message.StartsWith("//", StringComparison.Ordinal) ? message[1..] : message);
            }
            else if (!await ObeyAsync(message))
            {
                break;
            }
        }

        _terminal.Output.WriteLine();
    }

    /// <summary>The next message, trimmed: a line, lines that end with a backslash, or what stands between lines with three quotation marks. Null when the user leaves.</summary>
    private async Task<string?> ReadMessageAsync(string prompt)
    {
        _terminal.Output.Write("\n");
        if (await ReadLineAsync(prompt) is not { } line) return null;
        line = line.TrimStart('\uFEFF');
        if (line.TrimStart().StartsWith(Block, StringComparison.Ordinal) && !line.Contains('\n', StringComparison.Ordinal)) return await ReadBlockAsync(line.TrimStart()[Block.Length..]);
        while (line.EndsWith('\\'))
        {
            if (await ReadLineAsync(". ") is not { } next) return null;
            line = $"{line[..^1]}\n{next}";
        }

        return line.Trim();
    }

    private async Task<string?> ReadBlockAsync(string first)
    {
        var text = new StringBuilder();
        for (var line = first; ; text.Append('\n'))
        {
            if (line.TrimEnd().EndsWith(Block, StringComparison.Ordinal)) return text.Append(line.TrimEnd()[..^Block.Length]).ToString().Trim();
            text.Append(line);
            if (await ReadLineAsync(". ") is not { } next) return null;
            line = next;
        }
    }

    private async Task<string?> ReadLineAsync(string prompt)
    {
        if (_leave.Task.IsCompleted) return null;
        if (_editor is null)
        {
            _terminal.Output.Write(prompt);
            _terminal.Output.Flush();
        }

        // The read can't be cancelled; when the user leaves, the process ends under it.
        var line = Task.Run(() => _editor is null ? _terminal.Input.ReadLine() : _editor.Read(prompt));
        if (await Task.WhenAny(line, _leave.Task) != line) return null;
        if (_editor is null) _interruptCount = 0;
        return await line;
    }

    private async Task AskAsync(string question)
    {
        _conversation.Ask(question);
        while (true)
        {
            var prompt = Fit();
            if (prompt is not { Tokens.Count: > 0 })
            {
                _conversation.TakeBack();
                _terminal.Error.WriteLine(prompt is null ? TooLong : EmptyPrompt);
                return;
            }

            await AnswerAsync(prompt, _terminal.Output);
            if (_conversation.Messages is not [.., { Role: "assistant", ToolCalls: { Count: > 0 } calls }]) return;
            if (await AskForResultsAsync(calls)) continue;
            // A call without its result would be refused by many templates.
            _conversation.TakeBack();
            return;
        }
    }

    // The person at the terminal carries out what the model calls. False when the user leaves.
    private async Task<bool> AskForResultsAsync(IReadOnlyList<PromptToolCall> calls)
    {
        foreach (var call in calls)
        {
            _terminal.Output.WriteLine(WithoutControls($"{call.Name}({call.Arguments})"));
            if (await ReadMessageAsync($"result of {call.Name}> ") is not { } result) return false;
            _conversation.Result(call, result);
        }

        return true;
    }

    /// <summary>The prompt of the conversation, its oldest exchanges left out until an answer has room; null when the question alone is too long.</summary>
    private ChatPrompt? Fit()
    {
        while (true)
        {
            var prompt = Engine.EncodeChat(_conversation.Messages, _tools, _terminal.Time);
            var count = prompt.Tokens.Count;
            if (count < Engine.Model.ContextLength * 0.75 || (count < Engine.Model.ContextLength && _conversation.IsAlone)) return prompt;
            if (!_conversation.TryForgetOldest()) return null;
        }
    }

    /// <summary>Streams the answer to the terminal and returns whether it came to its end.</summary>
    private async Task<bool> AnswerAsync(ChatPrompt prompt, TextWriter figures)
    {
        var answer = new AnswerStream(_terminal.Time);
        var request = new GenerationRequest
        {
            PromptTokens = prompt.Tokens,
            Answer = prompt.Answer,
            MaxTokens = _options.For(_model).MaxTokens ?? Engine.Model.ContextLength,
            Sampling = _options.Sampling(_model, _options.Seed + _retryCount),
            RepetitionWindow = ChatOptions.RepetitionWindow,
        };
        using var spinner = _terminal.HasCursor && ReferenceEquals(figures, _terminal.Output) ? new Spinner(_terminal) : null;
        _interruptCount = 0;
        _running = Engine.TrySubmit(request, answer) ?? throw new CliException("The engine accepts no further requests.");
        string text;
        try
        {
            text = await PrintAsync(answer, spinner);
        }
        finally
        {
            _running = null;
        }

        if (answer.Calls is { Count: > 0 } calls && !answer.IsCancelled) _conversation.Call(text, [.. calls.Select(static (call, index) => new PromptToolCall($"call_{index + 1}", call.Tool, call.Arguments))]);
        else if (text.Length > 0) _conversation.Answer(text);
        // An exchange without an answer would leave two questions in a row, which many templates refuse.
        else _conversation.TakeBack();

        _totals.Add(answer);
        _terminal.Output.WriteLine();
        figures.WriteLine(Summarize(answer));
        return !answer.IsCancelled;
    }

    private async Task<string> PrintAsync(AnswerStream answer, Spinner? spinner)
    {
        var text = new StringBuilder();
        var painter = _terminal.HasColor ? new MarkdownPainter() : null;
        // A word is taken back at the border only where the cursor can go back.
        var wrap = _terminal is { HasCursor: true, Width: { } width } ? new WordWrap(width) : null;
        var isReasoning = false;
        await foreach (var piece in answer.Pieces)
        {
            spinner?.Dispose();
            if (!piece.IsReasoning) text.Append(piece.Text);
            // A program that reads the answer wants the answer.
            if (piece.IsReasoning && !_terminal.IsOutputInteractive) continue;
            if (piece.IsReasoning != isReasoning)
            {
                var change = (painter is null ? "" : piece.IsReasoning ? Faint : Reset) + (piece.IsReasoning ? "" : "\n\n");
                _terminal.Output.Write(wrap?.Add(change) ?? change);
                isReasoning = piece.IsReasoning;
            }

            var shown = _terminal.IsOutputInteractive ? WithoutControls(piece.Text) : piece.Text;
            if (painter is not null && !piece.IsReasoning) shown = painter.Add(shown);
            _terminal.Output.Write(wrap?.Add(shown) ?? shown);
            _terminal.Output.Flush();
        }

        spinner?.Dispose();
        if (painter is not null)
        {
            var rest = painter.End() + (isReasoning ? Reset : "");
            _terminal.Output.Write(wrap?.Add(rest) ?? rest);
        }

        return text.ToString();
    }

    /// <summary>A model must not be able to steer the terminal.</summary>
    private static string WithoutControls(string piece) =>
        piece.Any(IsUnwanted) ? string.Concat(piece.Select(character => IsUnwanted(character) ? '\uFFFD' : character)) : piece;

    private static bool IsUnwanted(char character) => char.IsControl(character) && character is not ('\n' or '\t');

    private static string Summarize(AnswerStream answer)
    {
        var parts = new List<string> { Plural.Of(answer.Usage.CompletionTokens, "token") };
        if (answer.TokensPerSecond is { } rate) parts.Add(string.Create(CultureInfo.InvariantCulture, $"{rate:0.0} tokens/s"));
        if (answer.TimeToFirstToken is { } first) parts.Add(string.Create(CultureInfo.InvariantCulture, $"first after {first.TotalMilliseconds:0} ms"));
        if (answer.IsCancelled) parts.Add("stopped");
        else if (answer.FinishReason is FinishReason.Length) parts.Add("cut at the token limit");
        else if (answer.FinishReason is FinishReason.Repetition) parts.Add("ended because it only repeated itself");
        return $"[{string.Join(", ", parts)}]";
    }

    // The first one stops what runs or is typed, the second one leaves.
    private void Interrupt()
    {
        if (Interlocked.Increment(ref _interruptCount) > 1)
        {
            _running?.Cancel();
            _leave.TrySetResult();
        }
        else if (_running is { } running)
        {
            running.Cancel();
        }
        else if (_editor is not null)
        {
            if (!_editor.Clear()) _editor.Say("Ctrl-C again leaves, and so does /exit.");
        }
        else
        {
            _terminal.Output.Write("\nCtrl-C again leaves, and so does /exit.\n> ");
            _terminal.Output.Flush();
        }
    }
}
