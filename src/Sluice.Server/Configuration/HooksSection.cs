namespace Sluice.Server.Configuration;

/// <summary>Reads <c>hooks</c>.</summary>
internal static class HooksSection
{
    private static readonly string[] s_keys = ["before", "after"];
    private static readonly string[] s_beforeKeys = ["url", "api_key", "timeout", "on_failure"];
    private static readonly string[] s_afterKeys = ["url", "api_key", "timeout"];

    /// <summary>What is there; what is wrong is reported.</summary>
    public static AnswerHooks Read(ConfigurationDocument document, ConfigurationSection root)
    {
        if (root.Find("hooks") is not { } node || document.Mapping(node, "'hooks'", s_keys) is not { } section) return AnswerHooks.None;
        return new AnswerHooks { Before = ReadHook(document, section, "before", s_beforeKeys), After = ReadHook(document, section, "after", s_afterKeys) };
    }

    private static HookOptions? ReadHook(ConfigurationDocument document, ConfigurationSection hooks, string name, string[] keys)
    {
        if (hooks.Find(name) is not { } node || document.Mapping(node, $"'{name}'", keys) is not { } section) return null;
        if (document.RequiredString(section, "url") is not var (url, mark)) return null;
        var isUrl = Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0 && uri.Fragment.Length == 0;
        if (!isUrl) document.Report(mark, $"'{url}' is not a valid address of a hook; expected http://HOST:PORT/PATH or https://HOST/PATH, with a key only in 'api_key'");
        var hook = new HookOptions(url) { ApiKey = document.String(section, "api_key")?.Value };
        if (document.String(section, "timeout") is var (time, there))
        {
            var timeout = Duration.Parse(time);
            if (timeout is null || timeout > HookOptions.TimeoutMax)
                document.Report(there, $"'{time}' is not a valid timeout of a hook; expected a number with a unit, such as 500ms or 2s, up to 1m");
            else
                hook = hook with { Timeout = timeout.Value };
        }
        if (document.Word(section, "on_failure") is not var (word, place)) return hook;
        if (word is not ("refuse" or "pass")) document.Report(place, $"'{word}' is not a valid value of 'on_failure'; allowed here: refuse, pass");
        return hook with { OnFailure = word == "pass" ? HookFailure.Pass : HookFailure.Refuse };
    }
}
