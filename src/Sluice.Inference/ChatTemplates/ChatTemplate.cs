using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Syntax;

namespace Sluice.Inference.ChatTemplates;

/// <summary>
/// A model's chat template: the subset of Jinja2 that chat templates use, with the settings of Hugging Face's transformers
/// (blocks trimmed, no escaping, undefined prints nothing). Immutable after <see cref="Parse"/>; any number of threads may render.
/// </summary>
/// <remarks>
/// Strings remember which of their characters came from the user, through every operation of the language, so that the
/// tokenizer can tell <c>&lt;|im_end|&gt;</c> in a message from the template's own.
/// <para>
/// Where it is not Jinja: integers have 64 bits; case is mapped one code point to one; <c>safe</c> does nothing, for nothing is
/// escaped; a template may change lists and mappings that it made, which the sandbox of transformers forbids. There is no
/// <c>include</c>, <c>import</c>, <c>extends</c>, <c>block</c>, <c>do</c> or <c>autoescape</c>, no <c>cycler</c>, <c>joiner</c> or
/// <c>lipsum</c>, and none of the filters <c>filesizeformat</c>, <c>pprint</c>, <c>random</c>, <c>striptags</c>, <c>urlize</c>,
/// <c>wordwrap</c> and <c>xmlattr</c>: no chat template of the project's references needs one.
/// </para>
/// </remarks>
public sealed class ChatTemplate
{
    private readonly IReadOnlyList<Statement> _body;

    private ChatTemplate(string source, IReadOnlyList<Statement> body)
    {
        Source = source;
        _body = body;
    }

    /// <summary>The text that was parsed.</summary>
    public string Source { get; }

    /// <summary>Parses a template's source.</summary>
    /// <exception cref="ChatTemplateException">
    /// The source is not a template, or is over a bound of <see cref="ChatTemplateLimits"/>.
    /// </exception>
    public static ChatTemplate Parse(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (source.Length > ChatTemplateLimits.SourceLengthMax)
        {
            throw new ChatTemplateException(
                $"The chat template has {source.Length} characters; at most {ChatTemplateLimits.SourceLengthMax} are read.");
        }

        var cursor = new TokenCursor(Lexer.Read(source));
        return new ChatTemplate(source, new StatementParser(cursor).ParseTemplate());
    }

    /// <summary>Renders the template.</summary>
    /// <param name="variables">
    /// What the template sees: <c>messages</c>, <c>tools</c>, <c>add_generation_prompt</c>, <c>bos_token</c> and so on. Not changed;
    /// values may be shared between renderings.
    /// </param>
    /// <param name="time">Clock and time zone of <c>strftime_now</c>.</param>
    /// <exception cref="ChatTemplateException">The template refuses or mistreats the variables, or runs away.</exception>
    public RenderedPrompt Render(IReadOnlyDictionary<string, TemplateValue> variables, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(variables);
        ArgumentNullException.ThrowIfNull(time);
        var prompt = new Interpreter(variables, new RenderState(time)).Run(_body);
        return new RenderedPrompt(prompt.Text, prompt.InputSpans);
    }
}
