using System.Globalization;

namespace Sluice.Benchmarks;

/// <summary>Values given as <c>--name value</c>.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, string> _values = [];

    public string Model => Text("model", Path.Combine(RepositoryRoot(), "models", "SmolLM2-135M-Instruct.Q4_1.gguf"));

    public int Threads => Number("threads", Environment.ProcessorCount);

    public static Arguments Parse(string[] arguments)
    {
        var parsed = new Arguments();
        for (int i = 0; i + 1 < arguments.Length; i += 2)
        {
            parsed._values[arguments[i].TrimStart('-')] = arguments[i + 1];
        }

        return parsed;
    }

    public string Text(string name, string fallback) => _values.GetValueOrDefault(name, fallback);

    public int Number(string name, int fallback) =>
        _values.TryGetValue(name, out string? value) ? int.Parse(value, CultureInfo.InvariantCulture) : fallback;

    private static string RepositoryRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder != null && !File.Exists(Path.Combine(folder, "Sluice.slnx")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? Directory.GetCurrentDirectory();
    }
}
