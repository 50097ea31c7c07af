using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.AI;
using Markdig;
using Markdig.Syntax;
using Sluice.Extensions.AI;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server;

/// <summary>The code of docs/embedding.md stands here too, where it is compiled and run.</summary>
public sealed class EmbeddingDocumentTests
{
    private const string Document = "docs/embedding.md";

    private static WebApplication Create(string[] args)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.WebHost.UseSluiceConnections();
        var options = ConfigurationFile.Load(builder.Configuration["Sluice"] ?? "sluice.yaml");
        builder.Services.AddSluice(options, ModelCatalog.Create(options));
        builder.Logging.ClearProviders();
        builder.Services.AddAuthorization().AddAuthentication().AddBearerToken();
        var app = builder.Build();
        app.UseAuthentication();
        app.UseAuthorization();
        app.MapGroup("/ai").MapSluice().RequireAuthorization();
        app.MapGroup("/ai").MapSluiceHealth();
        return app;
    }

    private static SluiceOptions CreateOptions()
    {
        var options = new SluiceOptions
        {
            AllowedHosts = ["app.example.com"],
            Models =
            [
                new ModelOptions("small", Gguf: null) { Route = new ModelRouteOptions([new UpstreamOptions("http://gpu-1:8000/v1")]) },
            ],
        };
        return options;
    }

    private static void AddWithClaim(WebApplicationBuilder builder, SluiceOptions options)
    {
        builder.Services.AddSluice(options, ModelCatalog.Create(options), new EmbeddingOptions { OwnerClaim = "oid" });
    }

    [Fact]
    public async Task The_application_of_the_document_serves_the_hub_to_its_users_alone()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "models:\n" + UpstreamHub.Model("m", upstream), TestContext.Current.CancellationToken);
        await using var application = Create(["--Sluice", file, "--urls", "http://127.0.0.1:0"]);
        await application.StartAsync(TestContext.Current.CancellationToken);
        using var http = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };
        using var refused = await http.GetAsync("/ai/v1/models", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        using var health = await http.GetAsync("/ai/readyz", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
        File.Delete(file);
    }

    [Fact]
    public async Task A_model_file_is_a_chat_client_and_a_chat_client_is_a_model()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        using var chat = new SluiceChatClient(TestFiles.DefaultModel);
        builder.Services.AddSluice().AddChatClient("assistant", chat);
        await using var app = builder.Build();
        app.MapSluice();
        app.Urls.Add("http://127.0.0.1:0");
        await app.StartAsync(TestContext.Current.CancellationToken);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        using var client = new SluiceChatClient(http, "assistant");
        var answer = await client.GetResponseAsync("Hi", new ChatOptions { MaxOutputTokens = 5 }, TestContext.Current.CancellationToken);
        Assert.NotEmpty(answer.Text);
        Assert.InRange(answer.Usage!.OutputTokenCount!.Value, 1, 5);
        await app.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public void Options_can_be_written_in_code()
    {
        var builder = WebApplication.CreateBuilder();
        AddWithClaim(builder, CreateOptions());
        Assert.Equal(["small"], ModelCatalog.Create(CreateOptions()).Models.Select(static model => model.Id));
    }

    [Fact]
    public void The_documents_code_is_the_code_of_these_tests()
    {
        var source = Normalize(RepositoryFiles.Read("tests/Sluice.Tests/Server/EmbeddingDocumentTests.cs"))
            + Normalize(RepositoryFiles.Read("tests/Sluice.Tests/Extensions.AI/SluiceChatClientTests.cs"))
            + Normalize(RepositoryFiles.Read("tests/Sluice.ConformanceTests/InProcessSdkTests.cs"));
        var document = Markdown.Parse(RepositoryFiles.Read(Document));
        var blocks = document.Descendants<FencedCodeBlock>().Where(static block => block.Info == "csharp").ToList();
        Assert.Equal(7, blocks.Count);
        Assert.All(blocks, block => Assert.Contains(Normalize(block.Lines.ToString()), source, StringComparison.Ordinal));
    }

    private static string Normalize(string code) =>
        string.Join('\n', code.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
}
