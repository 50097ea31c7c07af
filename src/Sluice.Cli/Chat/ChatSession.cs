using System.Globalization;
using System.Text;
using Sluice.Inference.Scheduling;

namespace Sluice.Cli.Chat;

/// <summary>
/// A conversation in the terminal. Ctrl-C ends the answer that is running; at the prompt it ends the conversation. With a pipe as
/// input, all of it is one message, and the program ends with its answer.
/// </summary>
internal sealed partial class ChatSession(Terminal terminal, ChatModel first, Func<string, ChatModel> load, ChatOptions options) : IDisposable
{
    private const string EmptyPrompt = "The model's chat template makes an empty prompt of the messages: there is nothing to answer.";

    private readonly ChatHistory _conversation = new(options.SystemMessage);
    private readonly TaskCompletionSource _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ChatModel _model = first;
    private EngineGeneration? _running;
    private ulong _retryCount;

    private InferenceEngine Engine => _model.Engine;

    public void Dispose() => Engine.Dispose();

    /// <param name="question">The only one; null takes what is typed, or all of a pipe.</param>
    public async Task<int> RunAsync(string? question)
    {
        using var registration = terminal.OnInterrupt(Interrupt);
        if (question is null && terminal.IsInputInteractive)
        {
            await TalkAsync();
            return ExitCodes.Success;
        }

        // Some programs begin what they write with a byte order mark.
        question = (question ?? await terminal.Input.ReadToEndAsync()).Trim().TrimStart('\uFEFF').Trim();
        if (question.Length == 0) throw new CliException("The input is empty; pipe a question in, or start 'sluice chat' in a terminal.");
        if (Fit(question) is not { } prompt) throw new CliException(TooLong);
        if (prompt.Count == 0) throw new CliException(EmptyPrompt);
        // Beside the answer alone, the figures belong on the other stream.
        return await AnswerAsync(prompt, terminal.Error) ? ExitCodes.Success : ExitCodes.Interrupted;
    }

    private string TooLong => string.Create(CultureInfo.InvariantCulture, $"The message is longer than the model's context of {Engine.Model.ContextLength} tokens.");

    private async Task TalkAsync()
    {
        terminal.Output.WriteLine($"{Engine.Model.Name}. Ctrl-C stops an answer; /help lists the commands, /exit leaves.");
        while (await ReadLineAsync() is { } line)
        {
            if (line.Length == 0) continue;
            if (!IsCommand(line))
            {
                _retryCount = 0;
                // So a message can begin with a slash.
                await AskAsync(line.StartsWith("//", StringComparison.Ordinal) ? line[1..] : line);
            }
            else if (!await ObeyAsync(line))
            {
                break;
            }
        }

        terminal.Output.WriteLine();
    }

    /// <summary>The next line, trimmed; null when the user leaves.</summary>
    private async Task<string?> ReadLineAsync()
    {
        terminal.Output.Write("\n> ");
        terminal.Output.Flush();
        // The read can't be cancelled; when the user leaves, the process ends under it.
        var line = Task.Run(terminal.Input.ReadLine);
        return await Task.WhenAny(line, _leave.Task) == line ? (await line)?.Trim().TrimStart('\uFEFF') : null;
    }

    private async Task AskAsync(string question)
    {
        var prompt = Fit(question);
        if (prompt is { Count: > 0 })
        {
            await AnswerAsync(prompt, terminal.Output);
            return;
        }

        _conversation.TakeBack();
        terminal.Error.WriteLine(prompt is null ? TooLong : EmptyPrompt);
    }

    /// <summary>Adds the question and returns the tokens of the conversation, its oldest exchanges left out until an answer has room; null when the question alone is too long.</summary>
    private IReadOnlyList<int>? Fit(string question)
    {
        _conversation.Ask(question);
        while (true)
        {
            var tokens = Engine.EncodeChat(_conversation.Messages, terminal.Time);
            if (tokens.Count < Engine.Model.ContextLength * 0.75 || (tokens.Count < Engine.Model.ContextLength && _conversation.IsAlone)) return tokens;
            if (!_conversation.TryForgetOldest()) return null;
        }
    }

    /// <summary>Streams the answer to the terminal and returns whether it came to its end.</summary>
    private async Task<bool> AnswerAsync(IReadOnlyList<int> prompt, TextWriter figures)
    {
        var answer = new AnswerStream(terminal.Time);
        var request = new GenerationRequest
        {
            PromptTokens = prompt,
            MaxTokens = options.MaxTokens ?? _model.Defaults.MaxTokens ?? Engine.Model.ContextLength,
            Sampling = options.Sampling(_model, options.Seed + _retryCount),
            RepetitionWindow = ChatOptions.RepetitionWindow,
        };
        _running = Engine.TrySubmit(request, answer) ?? throw new CliException("The engine accepts no further requests.");
        var text = await PrintAsync(answer);
        _running = null;
        if (text.Length > 0)
        {
            _conversation.Answer(text);
        }
        else
        {
            // An exchange without an answer would leave two questions in a row, which many templates refuse.
            _conversation.TakeBack();
        }

        _totals.Add(answer);
        terminal.Output.WriteLine();
        figures.WriteLine(Summarize(answer));
        return !answer.IsCancelled;
    }

    private async Task<string> PrintAsync(AnswerStream answer)
    {
        var text = new StringBuilder();
        await foreach (var piece in answer.Pieces)
        {
            text.Append(piece);
            terminal.Output.Write(terminal.IsOutputInteractive ? WithoutControls(piece) : piece);
            terminal.Output.Flush();
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
        if (answer.TokensPerSecond is { } rate)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{rate:0.0} tokens/s"));
        }

        if (answer.TimeToFirstToken is { } first)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"first after {first.TotalMilliseconds:0} ms"));
        }

        if (answer.IsCancelled)
        {
            parts.Add("stopped");
        }
        else if (answer.FinishReason is FinishReason.Length)
        {
            parts.Add("cut at the token limit");
        }
        else if (answer.FinishReason is FinishReason.Repetition)
        {
            parts.Add("ended because it only repeated itself");
        }

        return $"[{string.Join(", ", parts)}]";
    }

    private void Interrupt()
    {
        if (_running is { } running)
        {
            running.Cancel();
        }
        else
        {
            _leave.TrySetResult();
        }
    }
}
