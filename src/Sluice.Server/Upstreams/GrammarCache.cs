using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Protocol.Chat;
using Sluice.Server.Runtime;

namespace Sluice.Server.Upstreams;

/// <summary>Compiled grammars by the text of their schemas: an application asks with the same few again and again. Thread-safe.</summary>
internal sealed class GrammarCache(Limits limits)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<(string Text, Grammar? Grammar)>> _bySchema = [];
    private readonly LinkedList<(string Text, Grammar? Grammar)> _byUse = new();

    /// <summary>Schemas compiled since the start.</summary>
    public int CompiledCount { get; private set; }

    /// <summary>The grammar of what an answer has to be.</summary>
    /// <exception cref="GrammarException">It can't be compiled, or is longer than <see cref="Limits.SchemaCharacters"/>.</exception>
    public Grammar Get(ResponseSchema format) => format switch
    {
        // No schema begins with these characters.
        { Pattern: { } pattern } => Get("the pattern", "/" + pattern, () => Grammar.FromPattern(pattern)),
        { Texts: { } texts } => Get("the list", string.Concat(texts.Select(static text => $"|{text.Length}|{text}")), () => Grammar.FromChoices(texts)),
        { Schema: { } schema } => Get(schema, format.IsStrict),
        _ => Grammar.JsonObject,
    };

    /// <summary>The grammar of a schema; a strict one is kept beside the same that isn't.</summary>
    /// <exception cref="GrammarException">It can't be compiled, or is longer than <see cref="Limits.SchemaCharacters"/>.</exception>
    public Grammar Get(JsonElement schema, bool isStrict = false) =>
        // No schema begins with a space.
        Get("the schema", (isStrict ? " " : "") + schema.GetRawText(), () => Grammar.FromJsonSchema(schema, isStrict));

    /// <summary>The grammar of an object whose only member is a text that a Lark grammar accepts; null where that can't be enforced.</summary>
    /// <param name="definition">The Lark grammar.</param>
    /// <param name="name">Of the member.</param>
    public Grammar? FindLark(string definition, string name) => definition.Length > limits.SchemaCharacters ? null : Find($"%{name} {definition}", () =>
    {
        try
        {
            var builder = new GrammarBuilder();
            return builder.Build(builder.Object(name, builder.LarkString(definition)));
        }
        catch (GrammarException)
        {
            return null;
        }
    });

    private Grammar Get(string what, string text, Func<Grammar> compile) => text.Length <= limits.SchemaCharacters
        ? Find(text, compile)!
        : throw new GrammarException([], $"{what} has {text.Length} characters; the most that are compiled are {limits.SchemaCharacters}");

    private Grammar? Find(string text, Func<Grammar?> compile)
    {
        lock (_lock)
        {
            if (_bySchema.TryGetValue(text, out var found))
            {
                _byUse.Remove(found);
                _byUse.AddFirst(found);
                return found.Value.Grammar;
            }
        }

        // Outside of the lock: two requests may compile the same, and the later one is kept.
        var grammar = compile();
        lock (_lock)
        {
            CompiledCount++;
            if (_bySchema.Remove(text, out var other)) _byUse.Remove(other);
            _bySchema.Add(text, _byUse.AddFirst((text, grammar)));
            if (_bySchema.Count > limits.CachedGrammars)
            {
                _bySchema.Remove(_byUse.Last!.Value.Text);
                _byUse.RemoveLast();
            }
        }

        return grammar;
    }
}
