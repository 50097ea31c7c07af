using System.Globalization;
using System.Text;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Prompting;

namespace Sluice.Cli.Chat;

/// <summary>
/// A conversation in the terminal. Ctrl-C ends the answer that is running; at the prompt it ends the conversation. With a pipe as
/// input, all of it is one message, and the program ends with its answer.
/// </summary>
internal sealed class ChatSession(Terminal terminal, InferenceEngine engine, ChatOptions options)
{
    private readonly List<PromptMessage> _messages =
        options.SystemMessage is { } text ? [new PromptMessage("system", text)] : [];

    private readonly TaskCompletionSource _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private EngineGeneration? _running;

    public async Task<int> RunAsync()
    {
        using var registration = terminal.OnInterrupt(Interrupt);
        if (!terminal.IsInputInteractive)
        {
            var question = (await terminal.Input.ReadToEndAsync()).Trim();
            var isWhole = question.Length > 0
                ? await AnswerAsync(question)
                : throw new CliException("The input is empty; pipe a question in, or start 'sluice chat' in a terminal.");
            return isWhole ? ExitCodes.Success : ExitCodes.Interrupted;
        }

        terminal.Output.WriteLine($"{engine.Model.Name}. Ctrl-C stops an answer; at the prompt Ctrl-C or Ctrl-D exits.");
        while (await ReadQuestionAsync() is { } question)
        {
            if (question.Length > 0)
            {
                await AnswerAsync(question);
            }
        }

        terminal.Output.WriteLine();
        return ExitCodes.Success;
    }

    /// <summary>The next line, trimmed; null when the user leaves.</summary>
    private async Task<string?> ReadQuestionAsync()
    {
        terminal.Output.Write("\n> ");
        terminal.Output.Flush();
        // The read can't be cancelled; when the user leaves, the process ends under it.
        var line = Task.Run(terminal.Input.ReadLine);
        return await Task.WhenAny(line, _leave.Task) == line ? (await line)?.Trim() : null;
    }

    /// <summary>Streams the answer to the terminal and returns whether it came to its end.</summary>
    private async Task<bool> AnswerAsync(string question)
    {
        _messages.Add(new PromptMessage("user", question));
        if (FitPrompt() is not { } prompt)
        {
            _messages.RemoveAt(_messages.Count - 1);
            return Refuse(string.Create(CultureInfo.InvariantCulture, $"The message is longer than the model's context of {engine.Model.ContextLength} tokens."));
        }

        if (prompt.Count == 0)
        {
            _messages.RemoveAt(_messages.Count - 1);
            return Refuse("The model's chat template makes an empty prompt of the messages: there is nothing to answer.");
        }

        var answer = new AnswerStream(terminal.Time);
        var request = new GenerationRequest
        {
            PromptTokens = prompt,
            MaxTokens = options.MaxTokens ?? engine.Model.ContextLength,
            Sampling = options.Sampling,
        };
        _running = engine.TrySubmit(request, answer) ?? throw new CliException("The engine accepts no further requests.");
        var text = await PrintAsync(answer);
        _running = null;
        if (text.Length > 0)
        {
            _messages.Add(new PromptMessage("assistant", text));
        }
        else
        {
            // An exchange without an answer would leave two questions in a row, which many templates refuse.
            _messages.RemoveAt(_messages.Count - 1);
        }

        terminal.Output.WriteLine();
        // Beside the answer of a pipe, the figures belong on the other stream.
        (terminal.IsInputInteractive ? terminal.Output : terminal.Error).WriteLine(Summarize(answer));
        return !answer.IsCancelled;
    }

    private bool Refuse(string sentence) =>
        terminal.IsInputInteractive ? ShowAndGoOn(sentence) : throw new CliException(sentence);

    private bool ShowAndGoOn(string sentence)
    {
        terminal.Error.WriteLine(sentence);
        return false;
    }

    /// <summary>The tokens of the conversation, its oldest exchanges left out until an answer has room; null when one message alone is too long.</summary>
    private IReadOnlyList<int>? FitPrompt()
    {
        var first = options.SystemMessage is null ? 0 : 1;
        while (true)
        {
            var tokens = engine.EncodeChat(_messages, terminal.Time);
            var isAlone = _messages.Count <= first + 1;
            if (tokens.Count < engine.Model.ContextLength * (isAlone ? 1.0 : 0.75))
            {
                return tokens;
            }

            if (isAlone)
            {
                return null;
            }

            _messages.RemoveRange(first, 2);
        }
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
        var parts = new List<string>
        {
            string.Create(CultureInfo.InvariantCulture, $"{answer.Usage.CompletionTokens} tokens"),
        };
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
