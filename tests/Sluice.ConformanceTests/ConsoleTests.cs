using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Sluice.ConformanceTests.Harness;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>
/// The console in a real Chromium, driven by Playwright. Every case also fails on a violation of the page's Content-Security-Policy, on an
/// error of its code, and on a request to any other server.
/// </summary>
public sealed class ConsoleTests
{
    private const string NoBrowser = "Needs Chromium and Node with playwright-core and axe-core: install Debian's chromium or set SLUICE_CHROMIUM, and see ClientSdks.";

    [Theory]
    [InlineData("chat")]
    [InlineData("stop")]
    [InlineData("cut")]
    [InlineData("tools")]
    [InlineData("tabs")]
    [InlineData("branches")]
    [InlineData("settings")]
    [InlineData("hostile")]
    [InlineData("jank")]
    [InlineData("now")]
    [InlineData("themes")]
    [InlineData("policy")]
    [InlineData("early")]
    [InlineData("unnumbered")]
    [InlineData("leave")]
    [InlineData("focused")]
    [InlineData("refused")]
    [InlineData("code")]
    [InlineData("reload")]
    public async Task Chromium_shows(string name)
    {
        await using var upstream = await ConsoleUpstream.StartAsync();
        await using var hub = await TestHub.StartConfiguredAsync($"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n");
        await RunAsync(hub, name);
    }

    [Fact]
    public async Task Chromium_keeps_the_key_in_its_tab()
    {
        await using var upstream = await ConsoleUpstream.StartAsync();
        await using var hub = await TestHub.StartConfiguredAsync(
            $"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n", new TestHubOptions { Configure = options => options with { ApiKeys = [new ApiKey("a", "key-a"), new ApiKey("b", "key-b")] } });
        await RunAsync(hub, "key");
    }

    [Fact]
    public async Task Chromium_shows_administrators_keys_and_usage()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-console-").FullName;
        await using var upstream = await ConsoleUpstream.StartAsync();
        await using (var hub = await TestHub.StartConfiguredAsync(
            $"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n",
            new TestHubOptions
            {
                Configure = options => options with
                {
                    ApiKeys = [new ApiKey("a", "key-a")],
                    Projects = [new ProjectOptions("search", LimitOptions.None)],
                    Prices = PriceFile.Parse("version: 1\nmodels: {m: {input: 1000, output: 2000}}", "prices.yaml"),
                    Ledger = new LedgerOptions { Path = Path.Combine(folder, "ledger.db") },
                    Admin = new AdminOptions { Address = new ListenAddress("127.0.0.1", 0), Keys = ["key-of-admin"] },
                },
            }))
        {
            var admin = hub.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Last();
            await RunAsync(hub, "admin", admin);
        }
        Directory.Delete(folder, recursive: true);
    }

    private static async Task RunAsync(TestHub hub, string name, params string[] arguments)
    {
        var (node, modules) = await ClientProcess.FindNodeAsync();
        var chromium = Environment.GetEnvironmentVariable("SLUICE_CHROMIUM") is { Length: > 0 } given ? given : "/usr/bin/chromium";
        if (!File.Exists(chromium) || !Directory.Exists(Path.Combine(modules, "playwright-core")) || !Directory.Exists(Path.Combine(modules, "axe-core"))) Assert.Skip(NoBrowser);
        var screenshots = Path.Combine(TestFiles.RepositoryRoot, "artifacts", "console");
        Directory.CreateDirectory(screenshots);
        await ClientProcess.RunAsync(hub, node, [ClientProcess.Path("console", "run.mjs"), name, hub.Address.ToString(), chromium, screenshots, .. arguments], modules);
    }
}
