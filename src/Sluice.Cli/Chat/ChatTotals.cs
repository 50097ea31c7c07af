using System.Globalization;

namespace Sluice.Cli.Chat;

/// <summary>What all answers of a chat took.</summary>
internal sealed class ChatTotals
{
    private int _answers;
    private long _promptTokens;
    private long _tokens;
    private double _timedTokens;
    private double _seconds;

    public void Add(AnswerStream answer)
    {
        _answers++;
        _promptTokens += answer.Usage.PromptTokens;
        _tokens += answer.Usage.CompletionTokens;
        if (answer.TokensPerSecond is not { } rate) return;
        _timedTokens += answer.Usage.CompletionTokens - 1;
        _seconds += (answer.Usage.CompletionTokens - 1) / rate;
    }

    public override string ToString()
    {
        var rate = _seconds > 0 ? string.Create(CultureInfo.InvariantCulture, $", {_timedTokens / _seconds:0.0} tokens/s") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{Plural.Of(_answers, "answer")}: {_promptTokens} tokens of prompts, {_tokens} of answers{rate}.");
    }
}
