using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Programs and configurations of the README and of the recipes in docs/, as they stand there but for the address of the hub.</summary>
public sealed partial class RecipeTests : IAsyncLifetime
{
    private const string Address = "http://127.0.0.1:7070";
    private ScriptedUpstream? _upstream;
    private TestHub? _hub;

    public async ValueTask InitializeAsync()
    {
        _upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            ScriptedUpstream.Role(), ScriptedUpstream.Text("Paris, "), ScriptedUpstream.Text("of course."), ScriptedUpstream.Finish(), ScriptedUpstream.Usage()));
        _hub = await TestHub.StartConfiguredAsync(
            $"  - {{id: smollm2-135m-instruct, upstreams: [{{url: \"{_upstream.Url}\"}}]}}\n",
            new TestHubOptions { Configure = static options => options with { AllowedHosts = ["llm.example.com"] } });
    }

    public async ValueTask DisposeAsync()
    {
        await _hub!.DisposeAsync();
        await _upstream!.DisposeAsync();
    }

    [Fact]
    public async Task README_md_in_Python() =>
        Assert.Equal("Paris, of course.", (await ClientProcess.PythonCodeAsync(_hub!, null, Block("README.md", "python"))).Trim());

    [Theory]
    [InlineData("docs/clients/langchain.md", "Paris, of course.")]
    [InlineData("docs/clients/vercel-ai-sdk.md", "Paris, of course.\n3 tokens")]
    public async Task Programs_in_JavaScript(string page, string said)
    {
        var (node, modules) = await ClientProcess.FindNodeAsync();
        var folder = Directory.CreateTempSubdirectory("sluice-recipe-");
        Directory.CreateSymbolicLink(Path.Combine(folder.FullName, "node_modules"), modules);
        var file = Path.Combine(folder.FullName, "recipe.mjs");
        await File.WriteAllTextAsync(file, Block(page, "js"));
        Assert.Equal(said, (await ClientProcess.RunAsync(_hub!, node, [file])).Trim());
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task The_configuration_in_nginx_md_passes_a_stream_on()
    {
        if (!File.Exists("/usr/sbin/nginx")) Assert.Skip("Needs Debian's nginx-light.");
        var folder = Directory.CreateTempSubdirectory("sluice-nginx-").FullName;
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        free.Stop();
        var server = Block("docs/deployment/nginx.md", "nginx").Replace("listen 8080", $"listen 127.0.0.1:{port}", StringComparison.Ordinal);
        var file = Path.Combine(folder, "nginx.conf");
        await File.WriteAllTextAsync(file, $"daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n{server}\n}}");
        using var nginx = Process.Start(new ProcessStartInfo("/usr/sbin/nginx", ["-p", folder, "-c", file]) { RedirectStandardError = true })!;
        try
        {
            using var http = new HttpClient();
            HttpResponseMessage? response = null;
            for (var tries = 0; response is null; tries++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{port}/v1/chat/completions")
                {
                    Content = new StringContent("""{"model":"smollm2-135m-instruct","stream":true,"messages":[{"role":"user","content":"x"}]}""", System.Text.Encoding.UTF8, "application/json"),
                };
                request.Headers.Host = "llm.example.com";
                try
                {
                    response = await http.SendAsync(request);
                }
                catch (HttpRequestException) when (tries < 100 && !nginx.HasExited)
                {
                    await Task.Delay(50);
                }
            }
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, text);
            Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
            response.Dispose();
        }
        finally
        {
            nginx.Kill(entireProcessTree: true);
            await nginx.WaitForExitAsync();
        }
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task The_configuration_in_codex_md_is_the_one_that_the_test_of_Codex_uses()
    {
        var source = await File.ReadAllTextAsync(ClientProcess.Path("CodexTests.cs"));
        foreach (var key in (string[])["model_provider = ", "base_url = ", "wire_api = \"responses\""])
        {
            Assert.Contains(key, Block("docs/clients/codex.md", "toml"), StringComparison.Ordinal);
            Assert.Contains(key, source, StringComparison.Ordinal);
        }
    }

    // The only block of a language on a page.
    private string Block(string page, string language)
    {
        var text = File.ReadAllText(Path.Combine(TestFiles.RepositoryRoot, page));
        var block = Assert.Single(Fence().Matches(text), match => match.Groups[1].Value == language).Groups[2].Value;
        return block.Replace(Address, _hub!.Address.ToString().TrimEnd('/'), StringComparison.Ordinal);
    }

    [GeneratedRegex(@"^```(\w+)[^\n]*\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();
}
