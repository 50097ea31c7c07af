using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.ToolCalls;

/// <summary>Takes from a prompt what its template has put behind the last message, so that the message goes on.</summary>
internal static class OpenMessage
{
    /// <summary>The prompt up to the end of a text.</summary>
    /// <param name="prompt">Ends with the message.</param>
    /// <param name="text">
    /// What the message says. Its own white space at the end stays, if the template hasn't taken it away; that at the beginning doesn't matter.
    /// </param>
    /// <exception cref="ChatTemplateException">The template has left the text out.</exception>
    public static RenderedPrompt End(RenderedPrompt prompt, string text)
    {
        string core = text.Trim();
        string space = text[text.TrimEnd().Length..];
        for (int i = prompt.InputSpans.Count - 1; i >= 0; i--)
        {
            TextSpan span = prompt.InputSpans[i];
            int index = prompt.Text.AsSpan(span.Start, span.Length).LastIndexOf(core, StringComparison.Ordinal);
            if (index < 0)
            {
                continue;
            }

            int end = span.Start + index + core.Length;
            end += prompt.Text.AsSpan(end, span.End - end).StartsWith(space, StringComparison.Ordinal) ? space.Length : 0;
            return new RenderedPrompt(prompt.Text[..end], [.. prompt.InputSpans.Take(i), new TextSpan(span.Start, end - span.Start)]);
        }

        throw new ChatTemplateException("it leaves out or changes the text of the last message, so that 'continue_final_message' can't continue it");
    }
}
