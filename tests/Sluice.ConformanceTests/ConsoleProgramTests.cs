using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The programs that the console shows of a request run as they are, for every door.</summary>
public sealed class ConsoleProgramTests
{
    private const string Said = "It is \u00FC.";

    [Theory]
    [InlineData("curl")]
    [InlineData("python")]
    [InlineData("javascript")]
    [InlineData("csharp")]
    public async Task A_request_as_a_program_asks_the_same(string language)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("It is ", "\\u00FC", "."));
        await using var hub = await TestHub.StartConfiguredAsync($"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n");
        var (node, modules) = await ClientProcess.FindNodeAsync();
        var programs = JsonSerializer.Deserialize<string[][]>(
            await ClientProcess.RunAsync(hub, node, [ClientProcess.Path("console", "programs.mjs"), hub.Address.ToString(), "m"]), s_options)!
            .Where(program => program[1] == language).ToList();
        Assert.Equal(["chat", "responses", "messages"], programs.Select(static program => program[0]));
        foreach (var program in programs)
        {
            var output = await RunAsync(hub, language, program[2], node, modules);
            // The programs of SDKs print the text, the others the events.
            if (language is "python" or "javascript") Assert.Equal(Said, output.Trim());
            else Assert.Contains("It is ", output, StringComparison.Ordinal);
            using var asked = JsonDocument.Parse(upstream.Calls[^1].Body);
            var last = asked.RootElement.GetProperty("messages").EnumerateArray().Last().GetProperty("content");
            Assert.Contains("It's \"quoted\", \\ and \u00FC, \"\"\"three\"\"\", None true", last.ValueKind == JsonValueKind.String ? last.GetString() : last[0].GetProperty("text").GetString(), StringComparison.Ordinal);
        }
        Assert.Equal(3, upstream.Calls.Count);
    }

    private static readonly JsonSerializerOptions s_options = new() { TypeInfoResolver = new System.Text.Json.Serialization.Metadata.DefaultJsonTypeInfoResolver() };

    private static async Task<string> RunAsync(TestHub hub, string language, string program, string node, string modules)
    {
        var folder = Directory.CreateTempSubdirectory("sluice-program-");
        try
        {
            switch (language)
            {
                case "curl":
                    return await ClientProcess.RunAsync(hub, "bash", ["-c", program.Replace("curl -N", "curl -sS -N", StringComparison.Ordinal)]);
                case "python":
                    return await ClientProcess.PythonCodeAsync(hub, null, program);
                case "javascript":
                    Directory.CreateSymbolicLink(Path.Combine(folder.FullName, "node_modules"), modules);
                    var script = Path.Combine(folder.FullName, "program.mjs");
                    await File.WriteAllTextAsync(script, program);
                    return await ClientProcess.RunAsync(hub, node, [script]);
                default:
                    // A program of one file.
                    var source = Path.Combine(folder.FullName, "program.cs");
                    await File.WriteAllTextAsync(source, program);
                    // A compiler that stays would outlive the test, with whatever it has inherited.
                    return await ClientProcess.RunAsync(hub, "env", ["UseSharedCompilation=false", "MSBUILDDISABLENODEREUSE=1", "dotnet", "run", source]);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
