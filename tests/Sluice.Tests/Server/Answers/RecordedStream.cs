using System.Text;
using System.Text.Json;
using Sluice.Testing;

namespace Sluice.Tests.Server.Answers;

/// <summary>An answer as a server gave it, recorded by <c>tests/reference/record_streams.py</c>.</summary>
/// <param name="Request">The body that was asked.</param>
/// <param name="Body">The body that came.</param>
/// <param name="IsWhole">Whether it came to its end.</param>
internal sealed record RecordedStream(string Request, byte[] Body, bool IsWhole)
{
    private static readonly string s_folder = Path.Combine(TestFiles.RepositoryRoot, "tests", "Sluice.Tests", "Data", "Streams");
    private static readonly JsonElement s_index = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(s_folder, "index.json"))).RootElement;

    public static IReadOnlyList<string> Names { get; } = [.. s_index.EnumerateObject().Select(static stream => stream.Name)];

    public string Text => Encoding.UTF8.GetString(Body);

    public static RecordedStream Load(string name)
    {
        var entry = s_index.GetProperty(name);
        var request = entry.GetProperty("request").GetRawText();
        return new RecordedStream("{\"model\":\"m\"," + request.TrimStart()[1..], File.ReadAllBytes(Path.Combine(s_folder, name + ".sse")), entry.GetProperty("whole").GetBoolean());
    }
}
