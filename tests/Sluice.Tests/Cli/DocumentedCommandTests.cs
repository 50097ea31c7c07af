using System.Diagnostics;
using System.Text;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>
/// The shell commands of the documents run as they stand there, block after block of a page, with the program that was built; a server that a
/// block starts gets a free port. A block that isn't run says why, and is a program that a shell can read.
/// </summary>
public sealed class DocumentedCommandTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-documents-").FullName;

    public static TheoryData<string> Pages => [.. DocumentBlock.All.Where(static block => block is { Language: "sh", WhyNotRun: null }).Select(static block => block.Path).Distinct()];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task A_pages_commands_run(string page)
    {
        var script = new StringBuilder("set -euo pipefail\nservers=()\ntrap 'for server in \"${servers[@]}\"; do kill $server 2>/dev/null || true; done' EXIT\n");
        script.Append(System.Globalization.CultureInfo.InvariantCulture, $"sluice() {{ '{Path.Combine(AppContext.BaseDirectory, "sluice")}' \"$@\"; }}\n");
        var number = 0;
        foreach (var block in DocumentBlock.All.Where(block => block.Path == page && block is { Language: "sh", WhyNotRun: null }))
        {
            var file = Path.Combine(_folder, $"block{++number}.sh");
            var text = block.Text.Replace("dotnet run -c Release --project src/Sluice.Cli --", "sluice", StringComparison.Ordinal);
            await File.WriteAllTextAsync(file, block.Arguments == "background" ? $"exec {text.Replace("sluice serve", $"'{Path.Combine(AppContext.BaseDirectory, "sluice")}' serve", StringComparison.Ordinal)} --port 0" : text, TestContext.Current.CancellationToken);
            script.Append(block.Arguments == "background" ? Background(number, FirstPort(block.Text)) : $"echo '== {page}:{block.Line}'\nfor sed in \"${{seds[@]:-s/a/a/}}\"; do sed -i \"$sed\" block{number}.sh; done\n. ./block{number}.sh\n");
        }
        var (code, output, errors) = await RunAsync(script.ToString());
        Assert.True(code == 0, $"{page}: exit code {code}\n{output}\n{errors}");
        // A request that is refused still is a command that ends well.
        Assert.DoesNotContain("\"error\":{", output, StringComparison.Ordinal);
        Assert.Contains($"== {page}", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Blocks_that_are_not_run_say_why_and_can_be_read_by_a_shell()
    {
        var blocks = DocumentBlock.All.Where(static block => block is { Language: "sh", WhyNotRun: not null }).ToList();
        Assert.NotEmpty(blocks);
        foreach (var block in blocks)
        {
            Assert.True(block.WhyNotRun!.Length > 10, $"{block.Path}:{block.Line}");
            var file = Path.Combine(_folder, "read.sh");
            await File.WriteAllTextAsync(file, block.Text, TestContext.Current.CancellationToken);
            var (code, _, errors) = await RunAsync($"bash -n '{file}'");
            Assert.True(code == 0, $"{block.Path}:{block.Line}: {errors}");
        }
    }

    // A configuration that a block has written names the port.
    private static string FirstPort(string text) => text.Contains("--config", StringComparison.Ordinal) ? "7071" : "7070";

    private static string Background(int number, string port) => $$"""
        bash block{{number}}.sh >serve{{number}}.out 2>serve{{number}}.err & servers+=($!)
        address=
        for ((i = 0; i < 600; i++)); do
            address=$(sed -n 's#^Sluice serves at http://\([^ ]*\)$#\1#p' serve{{number}}.out)
            [[ -n $address ]] && break
            kill -0 "${servers[-1]}" || { cat serve{{number}}.err >&2; exit 1; }
            sleep 0.1
        done
        seds+=("s#127.0.0.1:{{port}}#$address#g")

        """;

    private async Task<(int Code, string Output, string Errors)> RunAsync(string script)
    {
        var start = new ProcessStartInfo("bash", ["-c", script]) { WorkingDirectory = _folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["SLUICE_MODELS"] = Path.GetDirectoryName(TestFiles.DefaultModel)!;
        start.Environment["XDG_DATA_HOME"] = _folder;
        start.Environment.Remove("SLUICE_API_KEYS");
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(s_patience);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
        return (process.ExitCode, await output, await errors);
    }
}
