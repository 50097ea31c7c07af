using System.Runtime.InteropServices;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// Guesses at the next tokens of one choice, and how often such guesses were right. Every guess is held against what was sampled, also where
/// none was computed, so it costs nothing to find out whether a text repeats itself.
/// </summary>
internal sealed class ChoiceDrafts
{
    // Weight of the newest outcome in a share of right guesses.
    private const double Smoothing = 0.1;

    // The length of the match says most: shares of right guesses behind 2 tokens, 3, 4 to 5, 6 to 9, and more. They begin a little below what
    // sampled prose of the model that the repository carries shows, where guessing brings next to nothing.
    private readonly double[] _shares = [0.25, 0.35, 0.5, 0.6, 0.7];

    private readonly List<int> _tokens = [];
    private readonly List<double> _likelihoods = [];
    private int _match;

    /// <summary>The guesses, in order.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>For each guess how likely it is that it is right and all before it, in [0, 1].</summary>
    public IReadOnlyList<double> Likelihoods => _likelihoods;

    /// <summary>How many of them the step that is planned computes.</summary>
    public int Count { get; set; }

    /// <summary>Guesses how a choice goes on.</summary>
    /// <param name="tokens">All of its tokens.</param>
    /// <param name="limit">Most guesses; below 1 there are none.</param>
    public void Propose(List<int> tokens, int limit)
    {
        Count = 0;
        _tokens.Clear();
        _likelihoods.Clear();
        if (limit < 1)
        {
            return;
        }

        ReadOnlySpan<int> known = CollectionsMarshal.AsSpan(tokens);
        int source = PromptLookup.Find(known, out _match);
        double likelihood = 1;
        for (int i = 0; source >= 0 && i < limit; i++)
        {
            _tokens.Add(source + i < known.Length ? known[source + i] : _tokens[source + i - known.Length]);
            likelihood *= Share(i);
            _likelihoods.Add(likelihood);
        }
    }

    /// <summary>Counts the guesses that came true.</summary>
    /// <param name="tokens">All tokens of the choice.</param>
    /// <param name="first">Index of the token that the first guess was for.</param>
    /// <param name="known">So many are known to be true.</param>
    /// <param name="count">So many are looked at.</param>
    public int CountTrue(List<int> tokens, int first, int known, int count)
    {
        while (known < count && first + known < tokens.Count && tokens[first + known] == _tokens[known])
        {
            known++;
        }

        return known;
    }

    /// <summary>Takes in what has become of the guesses.</summary>
    /// <param name="tokens">All tokens of the choice.</param>
    /// <param name="first">Index of the token that the first guess was for.</param>
    public void Learn(List<int> tokens, int first)
    {
        int right = CountTrue(tokens, first, 0, _tokens.Count);
        for (int i = 0; i < right; i++)
        {
            ref double share = ref Share(i);
            share += Smoothing * (1 - share);
        }

        if (right < _tokens.Count && first + right < tokens.Count)
        {
            ref double share = ref Share(right);
            share -= Smoothing * share;
        }
    }

    // Behind a right guess the match is one token longer.
    private ref double Share(int draft) => ref _shares[(_match + draft) switch { <= 2 => 0, 3 => 1, <= 5 => 2, <= 9 => 3, _ => 4 }];
}
