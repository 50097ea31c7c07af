using System.Globalization;

namespace Sluice.Server.Configuration;

/// <summary>Reads how the local engine runs a model.</summary>
internal static class EngineSection
{
    private const int ContextMin = 512;
    private const int ContextMax = 1 << 28;
    private const int ThreadsMax = 1024;

    /// <summary>The model with what its section says; what is wrong is reported.</summary>
    public static ModelOptions Read(ConfigurationDocument document, ConfigurationSection section, ModelOptions model) => model with
    {
        Context = Whole(document, section, "context", ContextMin, ContextMax),
        Threads = Whole(document, section, "threads", 1, ThreadsMax),
        KeepAlive = ReadKeepAlive(document, section),
    };

    private static int? Whole(ConfigurationDocument document, ConfigurationSection section, string key, int min, int max)
    {
        if (document.String(section, key) is not var (text, mark)) return null;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return number;
        document.Report(mark, $"'{text}' is not a valid value of '{key}'; expected a whole number from {min} to {max}");
        return null;
    }

    private static TimeSpan? ReadKeepAlive(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "keep_alive") is not var (text, mark)) return null;
        // In the words of the request that asks for the same.
        if (text == "0") return TimeSpan.Zero;
        if (text == "-1") return null;
        if (Duration.Parse(text) is { } time) return time;
        document.Report(mark, $"'{text}' is not a valid value of 'keep_alive'; expected a duration such as 5m, 0, or -1 for as long as its memory is not needed");
        return null;
    }
}
