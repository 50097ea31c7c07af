using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using OpenAI;
using OpenAI.Chat;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The official .NET SDK over a hub that it shares a process with, without a connection.</summary>
public sealed class InProcessSdkTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_SDK_streams_without_a_connection()
    {
        await using var app = await StartAsync();
        var http = new HttpClient(new HubHandler(app.Services));
        var openai = new OpenAIClient(
            new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri("http://localhost/v1"), Transport = new HttpClientPipelineTransport(http) });
        var chat = openai.GetChatClient("m");
        var (text, tokens) = ("", 0);
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("Hi")], new ChatCompletionOptions { MaxOutputTokenCount = 8 }, Cancellation))
        {
            text += string.Concat(update.ContentUpdate.Select(static part => part.Text));
            tokens = update.Usage?.OutputTokenCount ?? tokens;
        }
        Assert.NotEmpty(text);
        Assert.InRange(tokens, 1, 8);
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => openai.GetChatClient("other").CompleteChatAsync([new UserChatMessage("Hi")], null, Cancellation));
        Assert.Equal(404, refused.Status);
        http.Dispose();
    }

    private static async Task<WebApplication> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSluice(new SluiceOptions { Models = [new ModelOptions("m", TestFiles.DefaultModel)] });
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        await app.StartAsync(Cancellation);
        return app;
    }
}
