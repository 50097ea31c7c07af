using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The programs of <c>samples/</c>, run as they are.</summary>
public sealed class SamplesTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_console_program_streams_an_answer_and_says_what_is_missing()
    {
        var (code, output, errors) = await RunAsync("Console", TestFiles.DefaultModel, "What is the capital of France?");
        Assert.True(code == 0, errors);
        Assert.NotEmpty(output.Trim());
        Assert.Matches(@"\d+ tokens read, \d+ written", errors);
        (code, _, errors) = await RunAsync("Console", "missing.gguf", "Hi");
        Assert.Equal(2, code);
        Assert.Contains("missing.gguf", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Agent")]
    [InlineData("SemanticKernel")]
    public async Task The_agent_calls_its_function(string sample)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(
                ScriptedUpstream.Role(),
                ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"NAME","arguments":"{\"city\":\"Rome\"}"}}]},"finish_reason":null}""".Replace("NAME", sample == "Agent" ? "GetTime" : "Clock-GetTime", StringComparison.Ordinal)),
                ScriptedUpstream.Finish("tool_calls")),
            ScriptedUpstream.Says("At noon."));
        await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: m, upstreams: [{{url: '{upstream.Url}'}}]}}\n");
        var (code, output, errors) = await RunAsync(sample, hub.Address.ToString(), "m", "What time is it in Rome?");
        Assert.True(code == 0, errors);
        Assert.Equal("At noon.", output.Trim());
        Assert.Contains("It is noon in Rome.", upstream.Calls[1].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_web_application_serves_its_users_alone()
    {
        using var program = Start("Web", "--model", TestFiles.DefaultModel, "--urls", "http://127.0.0.1:0");
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri(await AddressOfAsync(program)), Timeout = s_patience };
            using (var refused = await http.GetAsync("/ai/v1/models", Cancellation)) Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            using var login = await http.PostAsync("/login?name=ann&password=demo", null, Cancellation);
            using var token = JsonDocument.Parse(await login.Content.ReadAsStringAsync(Cancellation));
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token.RootElement.GetProperty("accessToken").GetString());
            using var content = new StringContent("""{"model":"small","max_tokens":3,"messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8, "application/json");
            using var answer = await http.PostAsync("/ai/v1/chat/completions", content, Cancellation);
            Assert.Contains("\"completion_tokens\":", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        }
        finally
        {
            program.Kill();
        }
    }

    private static async Task<string> AddressOfAsync(Process program)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        patience.CancelAfter(s_patience);
        while (await program.StandardOutput.ReadLineAsync(patience.Token) is { } line)
        {
            if (Regex.Match(line, @"Now listening on: (http://\S+)") is { Success: true } found) return found.Groups[1].Value;
        }
        throw new InvalidOperationException("The application ended: " + await program.StandardError.ReadToEndAsync(Cancellation));
    }

    private static async Task<(int Code, string Output, string Errors)> RunAsync(string sample, params string[] arguments)
    {
        using var program = Start(sample, arguments);
        var (output, errors) = (program.StandardOutput.ReadToEndAsync(Cancellation), program.StandardError.ReadToEndAsync(Cancellation));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        patience.CancelAfter(s_patience);
        try
        {
            await program.WaitForExitAsync(patience.Token);
        }
        finally
        {
            if (!program.HasExited) program.Kill();
        }
        return (program.ExitCode, await output, await errors);
    }

    // Built with these tests, in the same configuration.
    private static Process Start(string sample, params string[] arguments)
    {
        var configuration = Path.GetFileName(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var program = Path.Combine(TestFiles.RepositoryRoot, "artifacts", "bin", $"Sluice.Samples.{sample}", configuration, $"Sluice.Samples.{sample}.dll");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_NOLOGO"] = "1";
        return Process.Start(start)!;
    }
}
