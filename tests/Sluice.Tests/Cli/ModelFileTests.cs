using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>A model's file that changes under a hub that has loaded it: the process lives, and its answers stay the same.</summary>
public sealed class ModelFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-file-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_that_is_cut_short_or_overwritten_does_not_change_a_loaded_model(bool isTied)
    {
        var model = Path.Combine(_folder, "tiny.gguf");
        var bytes = new TinyModel("tiny") { IsTied = isTied, ChatTemplate = "{{ messages[0].content }}" }.ToArray();
        await File.WriteAllBytesAsync(model, bytes, TestContext.Current.CancellationToken);
        var configuration = Path.Combine(_folder, "sluice.yaml");
        await File.WriteAllTextAsync(configuration, "models: [{id: tiny, gguf: ./tiny.gguf}]\n", TestContext.Current.CancellationToken);
        await using var serve = await ServeProcess.StartAsync(configuration, _folder);
        var before = await AskAsync(serve, "abc");

        // In place, as cp and a download do.
        await using (var file = new FileStream(model, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.Position = bytes.Length / 2;
            file.Write(new byte[bytes.Length / 2]);
        }
        Assert.Equal(before, await AskAsync(serve, "abc"));
        await using (var file = new FileStream(model, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) file.SetLength(0);
        Assert.Equal(before, await AskAsync(serve, "abc"));
        Assert.NotEmpty(await AskAsync(serve, "something else"));
    }

    private static async Task<string> AskAsync(ServeProcess serve, string text)
    {
        var body = $$"""{"model":"tiny","temperature":0,"max_tokens":16,"logit_bias":{"256":-100,"257":-100,"258":-100},"messages":[{"role":"user","content":"{{text}}"}]}""";
        using var response = await serve.Http.PostAsync(
            new Uri("/v1/chat/completions", UriKind.Relative), new StringContent(body, Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        var json = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, json);
        using var answer = JsonDocument.Parse(json);
        return answer.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }
}
