using System.CommandLine;
using System.Globalization;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;

namespace Sluice.Cli.Commands;

/// <summary>The options that say what a key is, beside its limits.</summary>
internal sealed class KeyFlags
{
    private readonly LimitFlags _limits = new();
    private readonly Option<string?> _project = new("--project") { Description = "whose limits hold too; 'none' for no project", HelpName = "ID" };
    private readonly Option<string?> _models = new("--models") { Description = "models that may be asked, separated by commas, * at the end for any rest; 'all' for all", HelpName = "MODELS" };
    private readonly Option<string?> _expires = new("--expires") { Description = "a date such as 2027-01-31, or a time from now such as 90d or 12h; 'never'", HelpName = "TIME" };
    private readonly Option<string?> _exhausted = new("--on-exhausted") { Description = "how an answer ends when a budget does: length, error or suspend; default is length", HelpName = "HOW" };
    private readonly Option<string[]> _tags = new("--tag") { Description = "stands with what the key uses: NAME=VALUE; may be repeated", HelpName = "TAG", AllowMultipleArgumentsPerToken = false };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (ReadOnlySpan<Option>)[_project, _models, _expires, _exhausted, _tags]) command.Options.Add(option);
        _limits.AddTo(command);
    }

    /// <summary>The key with what the options change.</summary>
    /// <param name="key">As it is.</param>
    /// <param name="result">The options.</param>
    /// <param name="projects">Ids that there are.</param>
    /// <param name="now">The time.</param>
    /// <exception cref="CliException">An option is wrong.</exception>
    public KeyRow Apply(KeyRow key, ParseResult result, IReadOnlyList<string> projects, DateTimeOffset now)
    {
        var limits = _limits.Apply(key.Limits, result);
        if (result.GetValue(_models) is { } models) limits = limits with { Models = ParseModels(models) };
        if (result.GetValue(_exhausted) is { } how)
        {
            limits = limits with
            {
                OnExhausted = KeySection.ParsePolicy(how) ?? throw new CliException($"--on-exhausted is length, error or suspend, not '{how}'."),
            };
        }

        if (result.GetValue(_tags) is { Length: > 0 } tags) limits = limits with { Tags = ParseTags(tags) };
        return key with
        {
            Project = result.GetValue(_project) switch
            {
                null => key.Project,
                "none" => null,
                var id when projects.Contains(id) => id,
                var id => throw new CliException($"There is no project '{id}'; 'sluice projects create {id}' makes one."),
            },
            Expires = result.GetValue(_expires) is { } expires ? ParseExpiry(expires, now) : key.Expires,
            Limits = limits,
        };
    }

    /// <summary>Reads a moment: a date, or a time from now in days, hours or minutes.</summary>
    /// <exception cref="CliException">It is none.</exception>
    public static long ParseMoment(string text, DateTimeOffset now) =>
        KeySection.ParseMoment(text) is { } moment ? moment.ToUnixTimeMilliseconds()
        : ParseSpan(text) is { } span ? now.Add(span).ToUnixTimeMilliseconds()
        : throw new CliException($"'{text}' is not a valid time; expected a date such as 2027-01-31, or a time from now such as 90d or 12h.");

    /// <summary>Reads a time such as <c>90d</c>, <c>24h</c> or <c>30m</c>; null for anything else.</summary>
    public static TimeSpan? ParseSpan(string text)
    {
        if (text == "0") return TimeSpan.Zero;
        if (text.Length < 2 || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count > 100_000) return null;
        return text[^1] switch { 'd' => TimeSpan.FromDays(count), 'h' => TimeSpan.FromHours(count), 'm' => TimeSpan.FromMinutes(count), _ => null };
    }

    private static long? ParseExpiry(string text, DateTimeOffset now)
    {
        if (text == "never") return null;
        var moment = ParseMoment(text, now);
        return moment > now.ToUnixTimeMilliseconds() ? moment : throw new CliException($"--expires lies in the past: {text}.");
    }

    private static List<string>? ParseModels(string text)
    {
        if (text == "all") return null;
        List<string> models = [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
        if (models.Find(static pattern => pattern.IndexOf('*', StringComparison.Ordinal) is >= 0 and var star && star != pattern.Length - 1) is { } wrong)
            throw new CliException($"'{wrong}' has a * that is not at its end.");
        return models.Count > 0 ? models : throw new CliException("--models names no model.");
    }

    private static Dictionary<string, string> ParseTags(string[] texts)
    {
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals is < 1 or > 64 || text.Length - equals > 257 || tags.Count == 16)
                throw new CliException($"--tag is NAME=VALUE, of at most 64 and 256 characters and 16 times, not '{text}'.");
            tags[text[..equals]] = text[(equals + 1)..];
        }

        return tags;
    }
}
