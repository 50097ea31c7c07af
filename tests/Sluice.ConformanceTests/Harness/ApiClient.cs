using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests.Harness;

/// <summary>Asks a hub as plain HTTP does, and reads what comes as strictly as the wire is specified.</summary>
public sealed class ApiClient(TestHub hub) : IDisposable
{
    public const string ChatPath = "/v1/chat/completions";

    public HttpClient Http { get; } = new() { BaseAddress = hub.Address, Timeout = TimeSpan.FromMinutes(2) };

    /// <summary>A request's body with one message.</summary>
    /// <param name="content">What the user says.</param>
    /// <param name="more">Further members, without a comma before or after.</param>
    /// <param name="model">Null takes the hub's.</param>
    public string Chat(string content, string more = "", string? model = null) =>
        $$"""{"model":{{Quote(model ?? hub.Model)}},"messages":[{"role":"user","content":{{Quote(content)}}}]{{(more.Length > 0 ? "," : "")}}{{more}}}""";

    public static string Quote(string text) => $"\"{JsonEncodedText.Encode(text)}\"";

    public static HttpRequestMessage Post(string body, string path = ChatPath) => new(HttpMethod.Post, path)
    {
        Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json")),
    };

    /// <summary>The answer once its headers are there; its body comes as it is made.</summary>
    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request) => Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

    public Task<HttpResponseMessage> SendAsync(string body) => SendAsync(Post(body));

    /// <summary>A whole stream that must succeed.</summary>
    public async Task<ChatStream> StreamAsync(string content, string more = "")
    {
        using var response = await SendAsync(Chat(content, more.Length > 0 ? "\"stream\":true," + more : "\"stream\":true"));
        return await ChatStream.ReadAsync(response);
    }

    /// <summary>A whole object that must come with status 200.</summary>
    public async Task<JsonElement> CompleteAsync(string content, string more = "")
    {
        using var response = await SendAsync(Chat(content, more));
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return Json.Parse(body);
    }

    /// <summary>Sends what must be refused, and checks the error object.</summary>
    public async Task<ReceivedError> RefuseAsync(string body)
    {
        using var response = await SendAsync(body);
        return await ReceivedError.ReadAsync(response);
    }

    public void Dispose() => Http.Dispose();
}

/// <summary>JSON as the tests look at it.</summary>
public static class Json
{
    public static JsonElement Parse(string text)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    public static string[] Names(this JsonElement element) => [.. element.EnumerateObject().Select(member => member.Name)];

    public static bool Has(this JsonElement element, string name) => element.TryGetProperty(name, out _);

    public static bool IsNull(this JsonElement element, string name) => element.GetProperty(name).ValueKind == JsonValueKind.Null;

    public static string? Text(this JsonElement element, string name) => element.GetProperty(name).GetString();
}

/// <summary>An error as it arrived; reading it checks its shape.</summary>
public sealed record ReceivedError(int Status, string Message, string Type, string? Param, string? Code)
{
    public static async Task<ReceivedError> ReadAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.False(response.IsSuccessStatusCode, body);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.True(response.Headers.Contains("x-request-id"));
        return Read((int)response.StatusCode, body);
    }

    public static ReceivedError Read(int status, string body)
    {
        var root = Json.Parse(body);
        Assert.Equal(["error"], root.Names());
        var error = root.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.Names());
        Assert.NotEqual("", error.Text("message"));
        return new ReceivedError(status, error.Text("message")!, error.Text("type")!, error.Text("param"), error.Text("code"));
    }
}
