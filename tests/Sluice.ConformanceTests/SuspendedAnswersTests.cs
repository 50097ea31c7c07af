using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Sluice.ConformanceTests.Harness;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Clients of the real model that are cut off, and come back when the engine has given the answer's slot away.</summary>
[Collection(DefaultModelCollection.Name)]
public sealed partial class SuspendedAnswersTests(DefaultModelHub fixture)
{
    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"get_weather","description":"Weather of a city","parameters":{"type":"object",
        "properties":{"city":{"type":"string"},"days":{"type":"integer"},"unit":{"enum":["celsius","fahrenheit"]}},"required":["city","days","unit"],"additionalProperties":false}}}],"tool_choice":"required"
        """;

    public static TheoryData<string, string, string> Requests => new()
    {
        { "greedy", "Tell a long story about the sea.", "\"temperature\":0,\"max_tokens\":90" },
        { "sampled", "Tell a long story about the sea.", "\"temperature\":1,\"seed\":5,\"top_p\":0.95,\"presence_penalty\":0.6,\"frequency_penalty\":0.4,\"max_tokens\":90" },
        { "logprobs", "Tell a long story about the sea.", "\"temperature\":0.8,\"seed\":5,\"logprobs\":true,\"top_logprobs\":2,\"max_tokens\":60,\"stop\":[\"never said\"]" },
        { "choices", "Name many colours.", "\"temperature\":1,\"seed\":9,\"n\":2,\"max_tokens\":60" },
        { "schema", "Describe a person named Jo at length.", """
            "temperature":1,"seed":3,"max_tokens":120,"response_format":{"type":"json_schema","json_schema":{"name":"p","strict":true,"schema":{"type":"object",
            "properties":{"full_name_of_the_person":{"type":"string","minLength":90},"is_a_member_of_the_club":{"type":"boolean"}},"required":["full_name_of_the_person","is_a_member_of_the_club"],"additionalProperties":false}}}
            """ },
        { "tools", "What is the weather in Paris for three days?", $"\"temperature\":0,\"max_tokens\":120,{Tools}" },
        { "texts", "The sea is", "\"temperature\":1,\"seed\":7,\"logprobs\":2,\"echo\":true,\"max_tokens\":60" },
        { "several texts", "The sea is", "\"temperature\":1,\"seed\":7,\"logprobs\":0,\"max_tokens\":50" },
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [GeneratedRegex("(chat)?cmpl-[0-9a-z]{26}|call_[0-9a-z]{26}|\"created\":[0-9]+|\"cached_tokens\":[0-9]+")]
    private static partial Regex Own { get; }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task R_cut_at_several_places_the_parts_are_the_answer_that_nobody_cut(string kind, string content, string more)
    {
        const string Streams = "\"stream\":true,\"stream_options\":{\"include_usage\":true}";
        var isChat = !kind.EndsWith("texts", StringComparison.Ordinal);
        var path = isChat ? "v1/chat/completions" : "v1/completions";
        var prompt = kind == "several texts" ? $"[{ApiClient.Quote(content)},\"One two\"]" : ApiClient.Quote(content);
        var ask = isChat ? fixture.Client.Chat(content, $"{Streams},{more}") : $"{{\"model\":{ApiClient.Quote(fixture.Hub.Model)},\"prompt\":{prompt},{Streams},{more}}}";
        List<string> whole;
        using (var response = await fixture.Client.SendAsync(ApiClient.Post(ask, path))) whole = Events(await response.Content.ReadAsStringAsync(Cancellation));
        var parts = new List<string>();
        string? id = null;
        var suspensions = 0;
        foreach (var events in (int[])[3, 1, 9, 20, int.MaxValue])
        {
            if (parts.LastOrDefault() == "data: [DONE]") break;
            var request = ApiClient.Post(ask, path);
            if (id is not null) request.Headers.TryAddWithoutValidation("Last-Event-ID", $"{id}:{parts.Count}");
            using var http = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = fixture.Hub.Address };
            using (var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation))
            {
                Assert.True(response.IsSuccessStatusCode, await TextAsync(response));
                Assert.Contains(response.Headers.GetValues("Sluice-Stream-Attempt").Single(), (string[])(id is null ? ["created"] : ["resumed", "replayed"]));
                id ??= response.Headers.GetValues("Sluice-Stream-Id").Single();
                await ReadAsync(response, parts, events);
            }
            if (events != int.MaxValue && await StateAsync(id) == "suspended") suspensions++;
        }
        Assert.True(suspensions >= 2, $"{suspensions} suspensions");
        for (var choice = 0; choice < 2; choice++) Assert.Equal(Of(whole, choice), Of(parts, choice));
        // The usage, and the end.
        Assert.Equal(whole[^2..], parts[^2..]);
        Assert.Equal(whole.Count, parts.Count);
        await fixture.Hub.WhenIdleAsync();
    }

    // Two choices may overtake each other, whatever happens; the rest is in order.
    private static List<string> Of(List<string> events, int choice) =>
        [.. events.Where(text => text.Contains($"\"choices\":[{{\"index\":{choice.ToString(CultureInfo.InvariantCulture)}", StringComparison.Ordinal))];

    private static List<string> Events(string body) =>
        [.. body.Split('\n').Where(static line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(static line => Own.Replace(line, "*"))];

    private static async Task<string> TextAsync(HttpResponseMessage response) => response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync(Cancellation);

    private static async Task ReadAsync(HttpResponseMessage response, List<string> parts, int events)
    {
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation), Encoding.UTF8);
        for (var count = 0; count < events && await reader.ReadLineAsync(Cancellation) is { } line;)
        {
            if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
            parts.Add(Own.Replace(line, "*"));
            count++;
        }
    }

    // When it runs no more: how.
    private async Task<string> StateAsync(string id)
    {
        while (true)
        {
            var state = Json.Parse(await fixture.Client.Http.GetStringAsync($"/v1/chat/completions/{id}", Cancellation)).GetProperty("sluice").Text("state")!;
            if (state is not ("running" or "detached")) return state;
            await Task.Delay(2, Cancellation);
        }
    }
}
