namespace Sluice.Inference.Scheduling;

/// <summary>
/// Guesses how a text goes on: as it did where the same tokens stood before. The longest such place counts, the latest of equals; a text that
/// repeats itself up to its end is taken to go on repeating.
/// </summary>
internal static class PromptLookup
{
    /// <summary>Tokens at the end of a text that a place has to have at least: single ones are found everywhere.</summary>
    public const int MatchMin = 2;

    /// <summary>Tokens that are compared at most: who has so many in common is not told apart by more.</summary>
    public const int MatchMax = 16;

    // Places that are looked at, the latest first: enough for the commonest pair of some thousand tokens, and a bound for texts of one word.
    private const int PlacesMax = 256;

    /// <summary>Finds where the end of a text stood before.</summary>
    /// <param name="tokens">All of the text.</param>
    /// <param name="match">How many tokens are the same, <see cref="MatchMin"/> to <see cref="MatchMax"/>; 0 where there is no place.</param>
    /// <returns>Index of the token that followed there, at most that of the last token; -1 where there is no place.</returns>
    public static int Find(ReadOnlySpan<int> tokens, out int match)
    {
        match = 0;
        int found = -1;
        if (tokens.Length <= MatchMin)
        {
            return found;
        }

        int end = tokens.Length - 1;
        ReadOnlySpan<int> before = tokens[..end];
        for (int places = 0; places < PlacesMax && match < MatchMax; places++)
        {
            int last = before.LastIndexOf(tokens[end]);
            if (last < 1)
            {
                break;
            }

            int length = Common(tokens, last, end);
            if (length >= MatchMin && length > match)
            {
                match = length;
                found = last + 1;
            }

            before = before[..last];
        }

        return found;
    }

    // How many tokens up to one and up to the last one are the same.
    private static int Common(ReadOnlySpan<int> tokens, int last, int end)
    {
        int length = 1;
        int most = Math.Min(MatchMax, last + 1);
        while (length < most && tokens[last - length] == tokens[end - length])
        {
            length++;
        }

        return length;
    }
}
