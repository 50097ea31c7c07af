using System.Net;
using System.Text;
using System.Text.Json;

namespace Sluice.Testing.Faults;

/// <summary>What a client of the hub has seen.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Content">The text of all deltas.</param>
/// <param name="Model">The model that the frames name.</param>
/// <param name="HasFinish">Whether a finish reason came.</param>
/// <param name="HasUsage">Whether usage came.</param>
/// <param name="IsDone">Whether the stream came to <c>[DONE]</c> and its body to a clean end.</param>
/// <param name="Error">The error of an event or of a status; null without one.</param>
/// <param name="Wall">How long it took.</param>
public sealed record FaultAnswer(HttpStatusCode Status, string Content, string? Model, bool HasFinish, bool HasUsage, bool IsDone, string? Error, TimeSpan Wall)
{
    /// <summary>Whether it is the whole healthy answer and nothing else.</summary>
    public bool IsComplete => Content == FaultyServer.Answer && HasFinish && IsDone && Error is null;

    /// <summary>Whether a part would be taken for the whole.</summary>
    public bool IsMasked => !IsComplete && Error is null && (IsDone || HasFinish);

    /// <summary>Asks the hub, as a streaming client does.</summary>
    public static async Task<FaultAnswer> AskAsync(HttpClient http, TimeProvider time)
    {
        const string Body = """{"model":"primary","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Count."}]}""";
        var started = time.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Body, Encoding.UTF8, "application/json") };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return new FaultAnswer(response.StatusCode, "", null, false, false, false, await response.Content.ReadAsStringAsync(), time.GetElapsedTime(started));
        }
        var answer = new FaultAnswer(response.StatusCode, "", null, false, false, false, null, default);
        var content = new StringBuilder();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
                answer = line == "data: [DONE]" ? answer with { IsDone = true } : answer.Add(line[6..], content);
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            answer = answer with { IsDone = false };
        }
        return answer with { Content = content.ToString(), Wall = time.GetElapsedTime(started) };
    }

    private FaultAnswer Add(string json, StringBuilder content)
    {
        using var frame = JsonDocument.Parse(json);
        if (frame.RootElement.TryGetProperty("error", out var error)) return this with { Error = error.GetRawText() };
        var answer = this with { Model = frame.RootElement.GetProperty("model").GetString() };
        if (frame.RootElement.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object) answer = answer with { HasUsage = true };
        foreach (var choice in frame.RootElement.GetProperty("choices").EnumerateArray())
        {
            if (choice.GetProperty("delta").TryGetProperty("content", out var text)) content.Append(text.GetString());
            if (choice.GetProperty("finish_reason").ValueKind == JsonValueKind.String) answer = answer with { HasFinish = true };
        }
        return answer;
    }
}
