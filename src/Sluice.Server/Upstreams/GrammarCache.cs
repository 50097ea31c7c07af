using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Server.Runtime;

namespace Sluice.Server.Upstreams;

/// <summary>Compiled grammars by the text of their schemas: an application asks with the same few again and again. Thread-safe.</summary>
internal sealed class GrammarCache(Limits limits)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<(string Text, Grammar Grammar)>> _bySchema = [];
    private readonly LinkedList<(string Text, Grammar Grammar)> _byUse = new();

    /// <summary>Schemas compiled since the start.</summary>
    public int CompiledCount { get; private set; }

    /// <summary>The grammar of a schema; a strict one is kept beside the same that isn't.</summary>
    /// <exception cref="GrammarException">It can't be compiled, or is longer than <see cref="Limits.SchemaCharacters"/>.</exception>
    public Grammar Get(JsonElement schema, bool isStrict = false)
    {
        var text = schema.GetRawText();
        if (text.Length > limits.SchemaCharacters)
            throw new GrammarException([], $"the schema has {text.Length} characters; the most that are compiled are {limits.SchemaCharacters}");
        // No schema begins with a space.
        text = isStrict ? " " + text : text;
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
        var grammar = Grammar.FromJsonSchema(schema, isStrict);
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
