using System.Text;
using System.Text.Json;
using Sluice.Inference.Gguf;
using Sluice.Inference.Grammars;
using Sluice.Inference.Tokenization;
using Sluice.Testing.Scripting;

namespace Sluice.Testing.Grammars;

/// <summary>
/// What a model without any sense writes under a grammar: each token is drawn from all that are allowed, and after a while one that closes
/// something is preferred, so that there is an end.
/// </summary>
public sealed class RandomAnswer
{
    private const int TokensMax = 4000;
    private static readonly Lazy<RandomAnswer> s_shipped = new(() =>
    {
        using GgufFile file = GgufFile.Open(TestFiles.DefaultModel);
        return new RandomAnswer(Tokenizer.Load(file.Metadata));
    });

    private static readonly Lazy<RandomAnswer> s_tiny = new(() => new RandomAnswer(ScriptedVocabulary.CreateTokenizer()));
    private readonly Lock _lock = new();
    private readonly TokenTrie _trie;
    private readonly TokenMasks _masks;
    private readonly ForcedTokens _forced;

    private RandomAnswer(Tokenizer tokenizer)
    {
        _trie = new TokenTrie(tokenizer);
        _masks = new TokenMasks(_trie);
        _forced = new ForcedTokens(_trie);
    }

    /// <summary>With the vocabulary of the shipped model.</summary>
    public static RandomAnswer Shipped => s_shipped.Value;

    /// <summary>With a vocabulary of the bytes and a few words.</summary>
    public static RandomAnswer Tiny => s_tiny.Value;

    /// <summary>Writes an answer.</summary>
    /// <param name="schema">A schema that the engine compiles.</param>
    /// <param name="seed">The same seed, the same answer.</param>
    /// <param name="patience">Tokens after which closing is preferred.</param>
    /// <param name="forces">Whether forced text is appended without drawing.</param>
    /// <returns>Its text.</returns>
    /// <exception cref="InvalidOperationException">It came to no end, or there was no token to go on with.</exception>
    public string Write(string schema, int seed, int patience = 60, bool forces = true) =>
        Write(Grammar.FromJsonSchema(JsonElement.Parse(schema)), seed, patience, forces);

    /// <inheritdoc cref="Write(string, int, int, bool)"/>
    public string Write(Grammar grammar, int seed, int patience = 60, bool forces = true)
    {
        // Masks belong to one thread at a time; tests run on several.
        using Lock.Scope scope = _lock.EnterScope();
        var random = new Random(seed);
        var matcher = new GrammarMatcher(grammar);
        var text = new List<byte>();
        for (int count = 0; !matcher.IsExhausted; count++)
        {
            ReadOnlySpan<ulong> allowed = _masks.Find(matcher);
            List<int> tokens = Tokens(allowed);
            if (tokens.Count == 0 || count == TokensMax)
            {
                throw new InvalidOperationException($"No end after {count} tokens: {Encoding.UTF8.GetString([.. text])}");
            }

            bool closes = count > patience ? random.Next(4) > 0 : random.Next(4) == 0;
            int token = (closes ? FindClosing(tokens, random) : null) ?? tokens[random.Next(tokens.Count)];
            if (_trie.Tokenizer.IsEndOfGeneration(token))
            {
                break;
            }

            Append(token);
            foreach (int forced in forces ? [.. _forced.Find(matcher)] : Array.Empty<int>())
            {
                Append(forced);
            }
        }

        return matcher.IsComplete ? new UTF8Encoding(false, true).GetString([.. text]) : throw new InvalidOperationException("It ended too early.");

        void Append(int token)
        {
            ReadOnlySpan<byte> bytes = _trie.Tokenizer.GetBytes(token).Span;
            text.AddRange(bytes);
            if (!matcher.TryAdvance(bytes))
            {
                throw new InvalidOperationException($"Token {token} was allowed after {Encoding.UTF8.GetString([.. text])} and isn't accepted.");
            }
        }
    }

    private static List<int> Tokens(ReadOnlySpan<ulong> set)
    {
        var tokens = new List<int>();
        for (int word = 0; word < set.Length; word++)
        {
            for (ulong bits = set[word]; bits != 0; bits &= bits - 1)
            {
                tokens.Add((word * 64) + System.Numerics.BitOperations.TrailingZeroCount(bits));
            }
        }

        return tokens;
    }

    // Ends, then quotes, which close strings or open names, then closing brackets, then short values.
    private int? FindClosing(List<int> tokens, Random random)
    {
        foreach (char wanted in "\0\"}]n01,:")
        {
            foreach (int token in tokens)
            {
                bool fits = wanted == '\0'
                    ? _trie.Tokenizer.IsEndOfGeneration(token)
                    : _trie.Tokenizer.GetBytes(token).Span is [var only] && only == wanted;
                if (fits)
                {
                    return token;
                }
            }
        }

        int[] single = [.. tokens.Where(token => _trie.Tokenizer.GetBytes(token).Length == 1)];
        return single.Length == 0 ? null : single[random.Next(single.Length)];
    }
}
