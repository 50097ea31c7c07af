using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>What takes long shows how far it is, how fast, and how long it still takes, in a real pseudo-terminal.</summary>
public sealed class TerminalProgressTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-progress-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Pull_has_a_bar_a_rate_and_the_time_left()
    {
        var whole = new byte[4 << 20];
        "GGUF"u8.CopyTo(whole);
        await using var server = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentLength = whole.Length;
            for (var start = 0; start < whole.Length; start += 128 << 10)
            {
                await reply.SendAsync(whole.AsMemory(start, 128 << 10));
                await Task.Delay(60, reply.Aborted);
            }
        });
        await using var terminal = PseudoTerminal.Start(100, "", "pull", new Uri(server.Url + "/tiny.gguf").ToString(), "--models", _folder);
        await terminal.SeeAsync(@"tiny\.gguf \S+ [\d.]+/[\d.]+ \wB [\d.]+ \wB/s \d\d:\d\d:\d\d");
        await terminal.SeeAsync("not checked: the server states no SHA-256");
        Assert.Equal(0, await terminal.EndAsync());
        Assert.Equal(whole.Length, new FileInfo(Path.Combine(_folder, "tiny.gguf")).Length);
    }

    [Fact]
    public async Task Quantize_has_a_bar_a_rate_and_the_time_left()
    {
        var model = RepositoryFiles.FullPath("models/SmolLM2-135M-Instruct.Q4_1.gguf");
        await using var terminal = PseudoTerminal.Start(100, "", "quantize", model, "Q8_0", Path.Combine(_folder, "out.gguf"), "--allow-requantize");
        await terminal.SeeAsync(@"\d+% [\d.]+ \wB/s [\d-]+:[\d-]+:[\d-]+");
        await terminal.SeeAsync("root mean square error");
        Assert.Equal(0, await terminal.EndAsync());
    }
}
