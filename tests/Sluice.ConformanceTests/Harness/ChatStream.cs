using System.Text;
using System.Text.Json;
using Xunit;

namespace Sluice.ConformanceTests.Harness;

/// <summary>A chat stream that came to its end as it should. Comments are left out.</summary>
public sealed class ChatStream
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private const string Done = "data: [DONE]\n\n";

    private ChatStream(string body, IReadOnlyList<JsonElement> chunks) => (Body, Chunks) = (body, chunks);

    /// <summary>Everything that was sent.</summary>
    public string Body { get; }

    /// <summary>Every chunk but <c>[DONE]</c>.</summary>
    public IReadOnlyList<JsonElement> Chunks { get; }

    /// <summary>Chunks with a choice.</summary>
    public IEnumerable<JsonElement> ChoiceChunks => Chunks.Where(chunk => chunk.GetProperty("choices").GetArrayLength() > 0);

    public static async Task<ChatStream> ReadAsync(HttpResponseMessage response)
    {
        var body = Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync().WaitAsync(s_patience));
        Assert.True(response.IsSuccessStatusCode, body);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return Parse(body);
    }

    public static ChatStream Parse(string body)
    {
        Assert.EndsWith(Done, body, StringComparison.Ordinal);
        return new ChatStream(body, [.. Events(body[..^Done.Length]).Select(Json.Parse)]);
    }

    /// <summary>What stands behind <c>data: </c> of each event, where every event is that one line, ended by LF LF.</summary>
    public static IEnumerable<string> Events(string body)
    {
        Assert.True(body.Length == 0 || body.EndsWith("\n\n", StringComparison.Ordinal), "The last event is not complete.");
        foreach (var block in body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            if (block.StartsWith(':')) continue;
            Assert.StartsWith("data: ", block, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', block);
            yield return block["data: ".Length..];
        }
    }

    public static JsonElement Choice(JsonElement chunk) => Assert.Single(chunk.GetProperty("choices").EnumerateArray());

    public static JsonElement Delta(JsonElement chunk) => Choice(chunk).GetProperty("delta");

    /// <summary>Choice chunks of one choice, in order.</summary>
    public IReadOnlyList<JsonElement> Of(int choice) =>
        [.. ChoiceChunks.Select(Choice).Where(candidate => candidate.GetProperty("index").GetInt32() == choice)];

    /// <summary>All content of one choice.</summary>
    public string Content(int choice = 0) => string.Concat(Of(choice)
        .Select(chunk => chunk.GetProperty("delta").TryGetProperty("content", out var content) ? content.GetString() : null));

    /// <summary>Finish reason of one choice, of which there must be exactly one.</summary>
    public string FinishReason(int choice = 0) => Assert.Single(Of(choice), chunk => !chunk.IsNull("finish_reason")).Text("finish_reason")!;

    /// <summary>The usage, of which there must be exactly one, in the last chunk.</summary>
    public JsonElement Usage()
    {
        var last = Chunks[^1];
        Assert.Empty(last.GetProperty("choices").EnumerateArray());
        return last.GetProperty("usage");
    }
}
