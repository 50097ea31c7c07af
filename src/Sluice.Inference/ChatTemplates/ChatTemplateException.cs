namespace Sluice.Inference.ChatTemplates;

/// <summary>
/// A chat template does not parse, needs a construct that is not supported, refuses the conversation, or reaches a bound of
/// <see cref="ChatTemplateLimits"/>. The message names the line, except when the template speaks for itself
/// (<see cref="IsRaisedByTemplate"/>): then it is the text given to <c>raise_exception</c>, unchanged.
/// </summary>
public sealed class ChatTemplateException : Exception
{
    /// <summary>Creates an exception with no message of its own.</summary>
    public ChatTemplateException()
        : this("The chat template failed.")
    {
    }

    /// <summary>Creates an exception that belongs to no line.</summary>
    public ChatTemplateException(string message)
        : base(message)
    {
    }

    /// <summary>Creates an exception that belongs to no line and has a cause.</summary>
    public ChatTemplateException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal ChatTemplateException(string message, int line)
        : base($"Chat template, line {line}: {message}") => Line = line;

    private ChatTemplateException(string message, int line, bool isRaisedByTemplate)
        : base(message)
    {
        Line = line;
        IsRaisedByTemplate = isRaisedByTemplate;
    }

    /// <summary>Line of the template, from 1; null when the fault belongs to no line.</summary>
    public int? Line { get; }

    /// <summary>True when the template itself called <c>raise_exception</c>.</summary>
    public bool IsRaisedByTemplate { get; }

    internal static ChatTemplateException RaisedByTemplate(string text, int line) => new(text, line, isRaisedByTemplate: true);
}
