namespace Sluice.Cli.Doctor;

/// <summary>One thing that was looked at.</summary>
/// <param name="Area">A word or two.</param>
/// <param name="IsWrong">Whether somebody should do something.</param>
/// <param name="Sentence">What was found and, where it is wrong, the remedy.</param>
internal sealed record Finding(string Area, bool IsWrong, string Sentence)
{
    public static Finding Fine(string area, string sentence) => new(area, false, sentence);

    public static Finding Wrong(string area, string sentence) => new(area, true, sentence);
}
