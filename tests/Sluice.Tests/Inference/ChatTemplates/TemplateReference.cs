using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Inference.ChatTemplates;
using Xunit;

namespace Sluice.Tests.Inference.ChatTemplates;

/// <summary>What tests/reference/make_template_renderings.py recorded from Jinja2, and the means to compare with it.</summary>
internal static class TemplateReference
{
    public static readonly TimeProvider Clock = new FixedClock();

    public static JsonElement Conversations { get; } = Load("conversations.json");

    public static JsonElement Renderings { get; } = Load("renderings.json");

    public static JsonElement Snippets { get; } = Load("snippets.json");

    public static IReadOnlyDictionary<string, TemplateValue> ToVariables(JsonElement conversation) => conversation.EnumerateObject()
        .ToDictionary(variable => variable.Name, variable => TemplateValue.FromJson(variable.Value, isInput: variable.Name == "messages"));

    /// <summary>The source of a template that belongs to others; skips the test where their folder is missing.</summary>
    public static string ReadShared(string name)
    {
        string? folder = Environment.GetEnvironmentVariable("SLUICE_SHARED");
        if (string.IsNullOrEmpty(folder)) folder = Path.Combine(FindRepository(), "..", "shared");
        string path = Path.Combine(folder, "data", "templates", name);
        if (!File.Exists(path)) Assert.Skip($"{path} is missing: set SLUICE_SHARED to the folder of shared files.");
        return File.ReadAllText(path);
    }

    /// <summary>Renders and compares with a recorded outcome: null when they agree, otherwise what differs.</summary>
    public static string? Compare(string source, IReadOnlyDictionary<string, TemplateValue> variables, JsonElement expected)
    {
        string text;
        try
        {
            text = ChatTemplate.Parse(source).Render(variables, Clock).Text;
        }
        catch (ChatTemplateException error)
        {
            if (expected.TryGetProperty("error", out _)) return error.IsRaisedByTemplate ? $"raised: {error.Message}" : null;
            if (!expected.TryGetProperty("raised", out var raised)) return $"{error.Message}\n  expected {expected}";
            return error.IsRaisedByTemplate && error.Message == raised.GetString() ? null : $"{error.Message}\n  expected {raised}";
        }

        if (expected.TryGetProperty("text", out var whole))
        {
            return text == whole.GetString() ? null : $"{Quote(text)}\n  expected {Quote(whole.GetString()!)}";
        }

        if (!expected.TryGetProperty("sha256", out var hash)) return $"{Quote(text)}\n  expected {expected}";
        string actual = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        return actual == hash.GetString()
            ? null
            : $"{Quote(text)}\n  expected another text of {expected.GetProperty("length")} code points";
    }

    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";

    private static JsonElement Load(string name)
    {
        using var stream = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "Data", "ChatTemplates", name));
        return JsonDocument.Parse(stream).RootElement.Clone();
    }

    private static string FindRepository()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Sluice.slnx"))) folder = Path.GetDirectoryName(folder);
        return folder ?? AppContext.BaseDirectory;
    }

    /// <summary>The moment that the references were made for.</summary>
    private sealed class FixedClock : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2025, 7, 4, 13, 5, 9, TimeSpan.Zero).AddMicroseconds(123456);
    }
}
