using System.Text;
using System.Text.Json;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Turns conversations into prompts with a model's template. What the template makes of tools is tried out once, when the model is loaded:
/// one that shows them gets them as the model was trained, any other gets them by <see cref="GenericToolPrompt"/>. Thread-safe.
/// </summary>
internal sealed class ChatPromptEncoder
{
    private const string ProbeName = "sluice_probe";

    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate _template;
    private readonly PromptVariables _variables;
    private readonly ToolCallDialect _dialect;
    private readonly ToolGrammarCache _grammars;
    private readonly bool _isGeneric;
    private readonly bool _rendersCalls;
    private readonly bool _isHarmony;
    private readonly ReasoningTags? _reasoning;
    private readonly Dictionary<int, byte[]> _markers = [];

    public ChatPromptEncoder(Tokenizer tokenizer, ChatTemplate template)
    {
        _tokenizer = tokenizer;
        _template = template;
        _variables = new PromptVariables(tokenizer, template.Source);
        _isHarmony = ToolCallDialect.IsHarmonyTemplate(template.Source);
        _reasoning = _isHarmony ? null : ReasoningTags.Find(template.Source);
        var probe = new PromptTool(ProbeName, JsonElement.Parse($"{{\"name\":\"{ProbeName}\",\"description\":\"p\",\"parameters\":{{\"type\":\"object\",\"properties\":{{}}}}}}"), false);
        var question = new PromptMessage("user", "x");
        ToolCallDialect? found = Shows([question], [probe]) ? ToolCallDialect.Find(template.Source) : null;
        _dialect = found ?? ToolCallDialect.Generic;
        // Its template takes reasoning out of histories, and never writes the tag that begins it.
        _reasoning ??= found == ToolCallDialect.Lfm2 && Has(ReasoningTags.Think.Closer) ? ReasoningTags.Think : null;
        _isGeneric = found == null;
        _rendersCalls = !_isGeneric && Shows(
            [question, new PromptMessage("assistant", "") { ToolCalls = [new PromptToolCall("abcdefghi", ProbeName, "{}")] }, new PromptMessage("tool", "y") { ToolCallId = "abcdefghi" }],
            []);
        FindMarkers();
        Vocabulary = new WritableBytes(tokenizer);
        var markTokens = _markers.ToDictionary(static marker => Encoding.UTF8.GetString(marker.Value), static marker => marker.Key);
        _grammars = new ToolGrammarCache(new ToolCallGrammar(_dialect, markTokens, Vocabulary));
    }

    /// <summary>What the model can write.</summary>
    public WritableBytes Vocabulary { get; }

    /// <exception cref="ChatTemplateException">The template refuses the conversation, or leaves out the message to be continued.</exception>
    /// <exception cref="ToolSchemaException">A strict tool's schema can't be followed.</exception>
    public ChatPrompt Encode(
        IReadOnlyList<PromptMessage> messages, PromptTools? tools, TimeProvider time, IReadOnlyDictionary<string, JsonElement>? variables = null,
        PromptEnding ending = PromptEnding.Answer)
    {
        IReadOnlyList<PromptTool> callable = tools == null ? []
            : tools.Required is { } name ? [.. tools.Tools.Where(tool => tool.Name == name)] : tools.Tools;
        // What is refused costs no prompt.
        ToolGrammars[] grammars = [.. callable.Select(_grammars.Of)];
        bool isForced = tools != null && (tools.IsRequired || tools.Required != null);
        bool isAnswerToResult = _isGeneric && !isForced && GenericToolPrompt.AnswersResult(messages);
        IReadOnlyList<PromptTool> shown = tools == null || isAnswerToResult ? [] : _isGeneric ? callable : tools.Tools;
        RenderedPrompt prompt = _template.Render(_variables.Create(Prepare(messages, shown), _isGeneric ? [] : shown, variables, ending), time);
        bool isContinued = ending == PromptEnding.RestOfMessage;
        prompt = isContinued ? OpenMessage.End(prompt, messages[^1].Content) : prompt;
        List<int> tokens = Tokenize(prompt);
        bool thinks = isContinued ? Thinks(messages[^1].Content) : EndsWithThinkOpener(prompt.Text);
        string begun = thinks ? _reasoning!.Opener : "";
        if (tools != null && isForced && begun.Length == 0)
        {
            begun = Open(tokens, tools);
        }

        if (shown.Count == 0 && _reasoning == null && !_isHarmony)
        {
            return new ChatPrompt(tokens, null);
        }

        // Where a text would begin with a brace too, the first token says nothing, and the keys that the model writes decide.
        bool decides = _isGeneric && shown.Count > 0 && !isForced && _reasoning == null && !_isHarmony && tools!.TextGrammar == null;
        PromptTools? used = shown.Count == 0 ? null : tools! with { Tools = callable };
        return new ChatPrompt(tokens, new AnswerPlan(used == null ? null : _dialect, used, used == null ? [] : grammars, _reasoning)
        {
            IsHarmony = _isHarmony,
            Begun = begun,
            Forced = decides || isForced ? Force(tools!, callable, begun)
                : used?.TextGrammar is { } text ? ToolCallGrammar.CallsOr(text, Force(tools!, callable, begun)) : null,
            CallThreshold = decides ? ToolCallLimits.CallThreshold : null,
            CallToken = decides ? FirstTokenOfCall() : 0,
            Markers = _markers,
        });
    }

    private bool EndsWithThinkOpener(string prompt) => _reasoning != null && prompt.AsSpan().TrimEnd().EndsWith(_reasoning.Opener, StringComparison.Ordinal);

    private bool Thinks(string text) =>
        _reasoning != null && text.LastIndexOf(_reasoning.Opener, StringComparison.Ordinal) > text.LastIndexOf(_reasoning.Closer, StringComparison.Ordinal);

    private bool Has(string text) => _template.Source.Contains(text, StringComparison.Ordinal);

    private bool Shows(IReadOnlyList<PromptMessage> messages, IReadOnlyList<PromptTool> tools)
    {
        try
        {
            return _template.Render(_variables.Create(messages, tools), TimeProvider.System).Text.Contains(ProbeName, StringComparison.Ordinal);
        }
        catch (ChatTemplateException)
        {
            return false;
        }
    }

    // Printing tokens are read as they print.
    private void FindMarkers()
    {
        string[] texts = [.. _dialect.Openers, .. _dialect.Closer is { } closer ? [closer] : Array.Empty<string>(), ToolCallDialect.ArgumentsMark, "[CALL_ID]", .. (_isHarmony ? ToolCallDialect.Harmony : _dialect).Marks,
            .. _reasoning is { } tags ? (string[])[tags.Opener, tags.Closer] : []];
        var tokens = new List<int>();
        foreach (string text in texts)
        {
            tokens.Clear();
            _tokenizer.Encode(text, parseSpecial: true, [], tokens);
            if (tokens.Count == 1 && _tokenizer.IsControl(tokens[0]))
            {
                _markers[tokens[0]] = Encoding.UTF8.GetBytes(text);
            }
        }
    }

    private List<int> Tokenize(RenderedPrompt prompt)
    {
        var tokens = new List<int>(prompt.Text.Length / 3);
        _tokenizer.Encode(prompt.Text, parseSpecial: true, [.. prompt.InputSpans], tokens);
        if (_tokenizer.AddsBeginOfSequence && _tokenizer.BeginOfSequenceToken is { } begin && (tokens.Count == 0 || tokens[0] != begin))
        {
            tokens.Insert(0, begin);
        }

        return tokens;
    }

    private IReadOnlyList<PromptMessage> Prepare(IReadOnlyList<PromptMessage> messages, IReadOnlyList<PromptTool> tools)
    {
        if (_isGeneric)
        {
            bool hasCalls = messages.Any(static message => message.ToolCalls.Count > 0 || message.Role == "tool");
            return hasCalls || tools.Count > 0 ? GenericToolPrompt.Rewrite(messages, tools) : messages;
        }

        if (!_rendersCalls)
        {
            return [.. messages.Select(message => message.ToolCalls.Count == 0 ? message
                : message with { Content = message.Content + _dialect.Write(message.ToolCalls), ToolCalls = [] })];
        }

        // The words of harmony mean something in its template only, which refuses them in a text.
        if (_isHarmony)
        {
            messages = [.. messages.Select(static message => message.Content.Contains("<|channel|>", StringComparison.Ordinal)
                ? message with { Content = message.Content.Replace("<|channel|>", "", StringComparison.Ordinal).Replace("<|message|>", " ", StringComparison.Ordinal) } : message)];
        }

        return _dialect == ToolCallDialect.Llama || _dialect.IsHarmony ? SingleCalls(messages) : messages;
    }

    // Llama's templates take one call a message: several become a message each, with its result behind it.
    private static List<PromptMessage> SingleCalls(IReadOnlyList<PromptMessage> messages)
    {
        var single = new List<PromptMessage>(messages.Count);
        for (int i = 0; i < messages.Count; i++)
        {
            PromptMessage message = messages[i];
            if (message.ToolCalls.Count < 2)
            {
                single.Add(message);
                continue;
            }

            PromptMessage[] results = [.. messages.Skip(i + 1).TakeWhile(static next => next.Role == "tool")];
            foreach (PromptToolCall call in message.ToolCalls)
            {
                single.Add(message with { ToolCalls = [call] });
                single.AddRange(results.Where(result => result.ToolCallId == call.Id));
            }

            i += results.Length;
        }

        return single;
    }

    // Lets the prompt end with what introduces calls: tokens that no grammar can ask for.
    private string Open(List<int> tokens, PromptTools tools)
    {
        if (_dialect.StartsBare)
        {
            return "";
        }

        bool isNamed = _dialect is { IsNamed: true, IsList: false } && tools.Required != null;
        string opener = isNamed ? $"{_dialect.Openers[0]}{tools.Required}{ToolCallDialect.ArgumentsMark}"
            : _dialect.IsHarmony && tools.Required != null ? $"{_dialect.Openers[0]}{tools.Required} <|constrain|>json{ToolCallDialect.MessageMark}"
            : _dialect.Openers[0];
        _tokenizer.Encode(opener, parseSpecial: true, [], tokens);
        return opener;
    }

    private Grammar Force(PromptTools tools, IReadOnlyList<PromptTool> callable, string begun) =>
        begun.EndsWith(ToolCallDialect.ArgumentsMark, StringComparison.Ordinal) || begun.EndsWith(ToolCallDialect.MessageMark, StringComparison.Ordinal)
            ? _grammars.Of(callable[0]).ArgumentsOnly
            : _grammars.Calls(callable, isOpened: begun.Length > 0 && begun != _reasoning?.Opener, tools.AllowsSeveral && tools.Required == null);

    private int FirstTokenOfCall()
    {
        var tokens = new List<int>();
        _tokenizer.Encode("{\"name\": \"", parseSpecial: false, [], tokens);
        return tokens[0];
    }
}
