using System.Runtime.InteropServices;

namespace Sluice.Inference.Generation;

/// <summary>
/// Guesses at the next tokens of one choice, and how often such guesses were right. Every guess is held against what was sampled, also where
/// none was computed, so knowing that a text doesn't repeat itself costs nothing.
/// </summary>
internal sealed class ChoiceDrafts
{
    // Weight of the newest outcome in the share of right guesses.
    private const double Smoothing = 0.15;

    // Matches of fewer tokens happen in any text.
    private const int LongMatch = 3;
    private const int SureMatch = 6;

    private readonly List<int> _tokens = [];

    // Shares of right guesses behind matches of 2 tokens, 3 to 5, and more; where each begins.
    private double _short = 0.3;
    private double _long = 0.6;
    private double _sure = 0.8;
    private int _match;

    /// <summary>The guesses, in order.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>How many of them the step that is planned computes.</summary>
    public int Count { get; set; }

    /// <summary>How likely it is that the next token is the first guess, and each further one the next, in [0, 1].</summary>
    public double Probability => _match < LongMatch ? _short : _match < SureMatch ? _long : _sure;

    /// <summary>Forgets the guesses.</summary>
    public void Clear()
    {
        _tokens.Clear();
        Count = 0;
    }

    /// <summary>Guesses how a choice goes on.</summary>
    /// <param name="tokens">All of its tokens.</param>
    /// <param name="limit">Most guesses.</param>
    public void Propose(List<int> tokens, int limit)
    {
        Clear();
        if (limit < 1)
        {
            return;
        }

        ReadOnlySpan<int> known = CollectionsMarshal.AsSpan(tokens);
        int source = PromptLookup.Find(known, out _match);
        for (int i = 0; source >= 0 && i < limit; i++)
        {
            _tokens.Add(source + i < known.Length ? known[source + i] : _tokens[source + i - known.Length]);
        }
    }

    /// <summary>Guesses from <paramref name="from"/> on that came true.</summary>
    /// <param name="tokens">All tokens of the choice.</param>
    /// <param name="first">Index of the token that the first guess was for.</param>
    /// <param name="from">Guesses known to be true.</param>
    /// <param name="count">Guesses that are looked at.</param>
    /// <returns>Guesses known to be true.</returns>
    public int CountTrue(List<int> tokens, int first, int from, int count)
    {
        while (from < count && first + from < tokens.Count && tokens[first + from] == _tokens[from])
        {
            from++;
        }

        return from;
    }

    /// <summary>Takes in what has become of the guesses.</summary>
    /// <param name="tokens">All tokens of the choice.</param>
    /// <param name="first">Index of the token that the first guess was for.</param>
    public void Learn(List<int> tokens, int first)
    {
        int right = CountTrue(tokens, first, 0, _tokens.Count);
        ref double share = ref _match < LongMatch ? ref _short : ref _match < SureMatch ? ref _long : ref _sure;
        for (int i = 0; i < right; i++)
        {
            share += Smoothing * (1 - share);
        }

        if (right < _tokens.Count && first + right < tokens.Count)
        {
            share -= Smoothing * share;
        }
    }
}
