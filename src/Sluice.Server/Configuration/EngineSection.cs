using System.Globalization;
using Sluice.Inference.Transformer;

namespace Sluice.Server.Configuration;

/// <summary>Reads how the local engine runs a model.</summary>
internal static class EngineSection
{
    /// <summary>Fewest tokens of a context.</summary>
    public const int ContextMin = 512;

    /// <summary>Most tokens of a context.</summary>
    public const int ContextMax = 1 << 28;

    /// <summary>Most threads of an engine.</summary>
    public const int ThreadsMax = 1024;

    /// <summary>What <see cref="TryParseKeepAlive"/> expects.</summary>
    public const string KeepAliveWords = "a duration such as 5m, 0, or -1 for as long as its memory is not needed";

    /// <summary>The model with what its section says; what is wrong is reported.</summary>
    public static ModelOptions Read(ConfigurationDocument document, ConfigurationSection section, ModelOptions model) => model with
    {
        Context = Whole(document, section, "context", ContextMin, ContextMax),
        Threads = Whole(document, section, "threads", 1, ThreadsMax),
        KeepAlive = ReadKeepAlive(document, section),
        CacheType = ReadCacheType(document, section),
    };

    /// <summary>In what keys and values are kept, by its name.</summary>
    public static bool TryParseCacheType(string text, out KvCacheType type)
    {
        (type, var isKnown) = text switch
        {
            "f16" => (KvCacheType.F16, true),
            "q8_0" => (KvCacheType.Q8_0, true),
            _ => (default, false),
        };
        return isKnown;
    }

    /// <summary>A time to stay in memory, in the words of the request that asks for the same; null is until its memory is needed.</summary>
    public static bool TryParseKeepAlive(string text, out TimeSpan? time)
    {
        time = text switch { "0" => TimeSpan.Zero, "-1" => null, _ => Duration.Parse(text) };
        return time is not null || text == "-1";
    }

    private static KvCacheType ReadCacheType(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "cache_type") is not var (text, mark)) return KvCacheType.F16;
        if (TryParseCacheType(text, out var type)) return type;
        document.Report(mark, $"'{text}' is not a valid value of 'cache_type'; expected f16 or q8_0");
        return KvCacheType.F16;
    }

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
        if (!TryParseKeepAlive(text, out var time)) document.Report(mark, $"'{text}' is not a valid value of 'keep_alive'; expected {KeepAliveWords}");
        return time;
    }
}
