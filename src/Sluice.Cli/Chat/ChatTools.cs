using System.Text.Json;
using Sluice.Inference.Prompting;

namespace Sluice.Cli.Chat;

/// <summary>Functions that a model may call in a chat; the person at the terminal is who carries them out.</summary>
internal static class ChatTools
{
    /// <summary>Reads a file: a JSON list of functions, bare or as OpenAI's API takes them.</summary>
    /// <exception cref="CliException">The file holds none.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static PromptTools Read(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            using var json = JsonDocument.Parse(file);
            var tools = json.RootElement.EnumerateArray()
                .Select(static tool => tool.TryGetProperty("function"u8, out var function) ? function : tool)
                .Select(static tool => new PromptTool(tool.GetProperty("name"u8).GetString()!, tool.Clone(), IsStrict: false)).ToList();
            if (tools.Count > 0 && tools.TrueForAll(static tool => IsName(tool.Name)) && tools.DistinctBy(static tool => tool.Name).Count() == tools.Count) return new PromptTools(tools);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw NotTools(path, exception);
        }

        throw NotTools(path, null);
    }

    private static bool IsName(string? name) => name is { Length: >= 1 and <= 64 } && name.All(static letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-');

    private static CliException NotTools(string path, Exception? inner) =>
        new($"{path} holds no tools; expected a JSON array of objects with name, description and parameters, each name once.", inner);
}
