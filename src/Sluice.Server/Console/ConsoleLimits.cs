namespace Sluice.Server.Console;

/// <summary>Bounds of what the console keeps and shows.</summary>
internal static class ConsoleLimits
{
    /// <summary>Minutes of the history: what a person looks at after "what was that just now?".</summary>
    public const int Minutes = 60;

    /// <summary>Models with a history, 50 KiB each; those that come later have none.</summary>
    public const int ModelsMax = 200;

    /// <summary>Pairs of model and upstream with a history, 2 KiB each.</summary>
    public const int UpstreamsMax = 1000;

    /// <summary>Answers of one list, the newest first: more than fit a screen, and 100 KiB of JSON.</summary>
    public const int AnswersMax = 200;
}
