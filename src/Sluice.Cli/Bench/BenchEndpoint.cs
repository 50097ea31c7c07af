using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Cli.Bench;

/// <summary>An OpenAI-compatible server, and what is asked of it.</summary>
/// <param name="Url">Where its API begins, with a slash at the end.</param>
/// <param name="Model">Whose answers are measured.</param>
/// <param name="ApiKey">Sent as a bearer token; null sends none.</param>
internal sealed record BenchEndpoint(Uri Url, string Model, string? ApiKey)
{
    private const int ListBytesMax = 4 << 20;

    /// <summary>Reads an address; <c>/v1</c> is added where it has no path.</summary>
    /// <exception cref="CliException">It is no http or https address.</exception>
    public static Uri ParseUrl(string text)
    {
        if (!Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            throw new CliException($"'{text}' is not an http or https address; expected the API of a server, such as http://localhost:8080/v1.");
        return url.AbsolutePath == "/" ? new Uri(url, "/v1/") : new Uri(url.GetLeftPart(UriPartial.Path).TrimEnd('/') + "/");
    }

    /// <summary>The request for one answer.</summary>
    public HttpRequestMessage CreateRequest(byte[] body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Url, "chat/completions")) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        Authorize(request);
        return request;
    }

    /// <summary>The server's only model, or the one that was named.</summary>
    /// <exception cref="CliException">The server does not answer, or has several models and none is named.</exception>
    public static async Task<BenchEndpoint> FindAsync(HttpClient http, Uri url, string? model, string? apiKey, CancellationToken cancellation)
    {
        var endpoint = new BenchEndpoint(url, model ?? "", apiKey);
        if (model is not null) return endpoint;
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(url, "models"));
        endpoint.Authorize(request);
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            await using var stream = await response.Content.ReadAsStreamAsync(cancellation);
            var bytes = new byte[ListBytesMax];
            var body = bytes[..await stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellation)];
            if (!response.IsSuccessStatusCode)
                throw new CliException($"{request.RequestUri} answers {(int)response.StatusCode}: {ChunkFacts.ErrorOf(body)}");
            var ids = (JsonNode.Parse(body)?["data"] as JsonArray)?.Select(static entry => entry?["id"]?.GetValue<string>()).OfType<string>().ToList() ?? [];
            return ids switch
            {
                [var only] => endpoint with { Model = only },
                [] => throw new CliException($"{url} lists no models; name one with --model."),
                _ => throw new CliException($"{url} has {ids.Count} models; name one with --model, such as {ids[0]}."),
            };
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw new CliException($"{url} does not answer: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new CliException($"{request.RequestUri} doesn't return a list of models; name one with --model.", exception);
        }
    }

    private void Authorize(HttpRequestMessage request)
    {
        if (ApiKey is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", ApiKey);
    }
}
