using System.Globalization;
using Sluice.Inference.Sampling;
using Sluice.Server.Configuration;

namespace Sluice.Cli.Chat;

/// <summary>What <c>/set</c> changes, by name.</summary>
internal static class ChatSettings
{
    private sealed record Setting(string Name, double Min, double Max, bool IsWhole, Func<SamplingDefaults, double?> Read, Func<SamplingDefaults, double?, SamplingDefaults> Write);

    private const string Seed = "seed";

    private static readonly Setting[] s_settings =
    [
        new("temperature", 0, 2, false, static all => all.Temperature, static (all, value) => all with { Temperature = value }),
        new("top_p", 0, 1, false, static all => all.TopP, static (all, value) => all with { TopP = value }),
        new("top_k", 0, int.MaxValue, true, static all => all.TopK, static (all, value) => all with { TopK = (int?)value }),
        new("min_p", 0, 1, false, static all => all.MinP, static (all, value) => all with { MinP = value }),
        new("repetition_penalty", 0.01, 10, false, static all => all.RepetitionPenalty, static (all, value) => all with { RepetitionPenalty = value }),
        new("max_tokens", 1, int.MaxValue, true, static all => all.MaxTokens, static (all, value) => all with { MaxTokens = (int?)value }),
    ];

    /// <summary>All settings in one line each; those that the user has made are marked.</summary>
    public static IEnumerable<string> Describe(ChatOptions options, ChatModel model)
    {
        foreach (var setting in s_settings)
        {
            var own = setting.Read(options.Settings);
            var value = own ?? setting.Read(model.Defaults);
            yield return $"{setting.Name,-20}{(value is { } known ? known.ToString(CultureInfo.InvariantCulture) : "the usual")}{(own is null ? "" : " (set)")}";
        }

        yield return string.Create(CultureInfo.InvariantCulture, $"{Seed,-20}{options.Seed}");
    }

    /// <summary>The options with one changed: <c>NAME VALUE</c>, or <c>NAME default</c>.</summary>
    /// <exception cref="CliException">There is no such setting, or the value is wrong.</exception>
    public static ChatOptions Apply(ChatOptions options, string text)
    {
        var words = text.Split(' ', 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var (name, value) = (words[0].Replace('-', '_').ToLowerInvariant(), words.Length > 1 ? words[1] : "");
        if (name == Seed)
        {
            return ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var seed)
                ? options with { Seed = seed }
                : throw new CliException($"seed is a whole number from 0, not '{value}'.");
        }

        if (s_settings.FirstOrDefault(known => known.Name == name) is not { } setting)
        {
            var names = s_settings.Select(static known => known.Name).Append(Seed).ToList();
            throw new CliException($"There is no setting '{words[0]}';{(Suggestion.Find(name, names) is { } near ? $" did you mean {near}?" : "")} there are {string.Join(", ", names)}.");
        }

        if (value is "default") return options with { Settings = setting.Write(options.Settings, null) };
        var isNumber = double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number);
        if (!isNumber || number < setting.Min || number > setting.Max || (setting.IsWhole && number != Math.Truncate(number)))
        {
            var bounds = setting.Max >= int.MaxValue ? $"from {setting.Min}" : string.Create(CultureInfo.InvariantCulture, $"from {setting.Min} to {setting.Max}");
            throw new CliException($"{setting.Name} is a {(setting.IsWhole ? "whole number" : "number")} {bounds}, or default, not '{value}'.");
        }

        return options with { Settings = setting.Write(options.Settings, number) };
    }
}
