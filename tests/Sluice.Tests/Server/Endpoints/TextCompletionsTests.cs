using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary><c>POST /v1/completions</c> by a hub with the local engine, from the request to the bytes.</summary>
public sealed class TextCompletionsTests : IAsyncLifetime
{
    private readonly HttpClient _http = new();
    private TestHub _hub = null!;

    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    public async ValueTask InitializeAsync()
    {
        _hub = await TestHub.StartScriptedAsync();
        _http.BaseAddress = _hub.Address;
        _hub.Scripts["A"] = new Script().Say(" one two");
        _hub.Scripts["B"] = new Script().Say(" three");
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _hub.DisposeAsync();
    }

    private async Task<(HttpStatusCode Status, string Body)> PostAsync(string members, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
        {
            Content = new StringContent($"{{\"model\":\"{_hub.Model}\"{members}}}", Encoding.UTF8, "application/json"),
        };
        foreach (var (name, value) in headers) request.Headers.Add(name, value);
        using var response = await _http.SendAsync(request, Patience);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Patience));
    }

    private async Task<JsonElement> CompleteAsync(string members)
    {
        var (status, body) = await PostAsync(members);
        Assert.True(status == HttpStatusCode.OK, body);
        return JsonElement.Parse(body);
    }

    private async Task<JsonElement[]> StreamAsync(string members)
    {
        var (status, body) = await PostAsync(members + ",\"stream\":true");
        Assert.True(status == HttpStatusCode.OK, body);
        var events = body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", events[^1]);
        return [.. events[..^1].Select(item => JsonElement.Parse(item["data: ".Length..]))];
    }

    private static JsonElement Choice(JsonElement answer, int index = 0) => answer.GetProperty("choices")[index];

    private static string Raw(JsonElement logprobs, string name) => logprobs.GetProperty(name).GetRawText();

    [Theory]
    [InlineData("\"A\"", " one two")]
    [InlineData("[\"A\",\"B\"]", " one two| three")]
    [InlineData("[65]", " one two")]
    [InlineData("[[66],[65]]", " three| one two")]
    public async Task Door_110_prompts_times_n_choices_in_the_order_of_the_prompts(string prompt, string texts)
    {
        var answer = await CompleteAsync($",\"prompt\":{prompt},\"n\":2");
        Assert.StartsWith("cmpl-", answer.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("text_completion", answer.GetProperty("object").GetString());
        var choices = answer.GetProperty("choices").EnumerateArray().ToList();
        Assert.Equal(texts.Split('|').SelectMany(text => new[] { text, text }), choices.Select(choice => choice.GetProperty("text").GetString()));
        Assert.Equal(Enumerable.Range(0, choices.Count), choices.Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.All(choices, choice => Assert.Equal("stop", choice.GetProperty("finish_reason").GetString()));
        Assert.Equal(choices.Count / 2, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Theory]
    [InlineData(",\"prompt\":\"A\",\"n\":1,\"best_of\":3,\"stream\":true", "best_of", "unsupported_value")]
    [InlineData(",\"prompt\":\"A\",\"n\":1,\"best_of\":3", "best_of", "unsupported_value")]
    [InlineData(",\"prompt\":\"A\",\"echo\":true,\"suffix\":\"x\"", "echo", "unsupported_value")]
    [InlineData(",\"prompt\":[100000]", "prompt", "invalid_value")]
    [InlineData(",\"prompt\":{}", "prompt", "invalid_type")]
    public async Task Of_what_cannot_be_the_parameter_is_named(string members, string param, string code)
    {
        var (status, body) = await PostAsync(members);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        var error = JsonElement.Parse(body).GetProperty("error");
        Assert.Equal((param, code), (error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
    }

    [Fact]
    public async Task A_prompt_beyond_the_context_is_refused_with_both_lengths()
    {
        var (status, body) = await PostAsync($",\"prompt\":\"{new string('a', 9000)}\"");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("8192 tokens. However, your prompt has 9000 tokens", body, StringComparison.Ordinal);
        Assert.Contains("context_length_exceeded", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Door_111_a_stream_has_pieces_of_text_a_finish_and_usage()
    {
        var (_, body) = await PostAsync(",\"prompt\":\"A\",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
        var id = JsonElement.Parse(body.Split('\n')[0]["data: ".Length..]).GetProperty("id").GetString();
        var created = JsonElement.Parse(body.Split('\n')[0]["data: ".Length..]).GetProperty("created").GetInt64();
        var prefix = $"data: {{\"id\":\"{id}\",\"object\":\"text_completion\",\"created\":{created},\"model\":\"{_hub.Model}\",\"choices\":[";
        Assert.Equal(
            $"{prefix}{{\"index\":0,\"text\":\" one\",\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
            + $"{prefix}{{\"index\":0,\"text\":\" two\",\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
            + $"{prefix}{{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}}],\"usage\":null}}\n\n"
            + $"{prefix}],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":3,\"total_tokens\":4,\"prompt_tokens_details\":{{\"cached_tokens\":0}}}}}}\n\n"
            + "data: [DONE]\n\n",
            body);
    }

    [Fact]
    public async Task Door_112_a_prompt_is_scored_without_a_token_more()
    {
        var answer = await CompleteAsync(",\"prompt\":\"Äbc\",\"echo\":true,\"logprobs\":2,\"max_tokens\":0");
        Assert.Equal("Äbc", Choice(answer).GetProperty("text").GetString());
        Assert.Equal("length", Choice(answer).GetProperty("finish_reason").GetString());
        var logprobs = Choice(answer).GetProperty("logprobs");
        Assert.Equal("""["bytes:\\xc3","bytes:\\x84","b","c"]""", Raw(logprobs, "tokens"));
        Assert.Equal("[null,0.0,0.0,0.0]", Raw(logprobs, "token_logprobs"));
        Assert.Equal("[0,0,1,2]", Raw(logprobs, "text_offset"));
        Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("top_logprobs")[0].ValueKind);
        Assert.Equal(0, logprobs.GetProperty("top_logprobs")[2].GetProperty("b").GetDouble());
        Assert.Equal(0, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Door_112_offsets_begin_behind_the_prompt_and_a_stream_goes_on_with_them()
    {
        _hub.Scripts["Ärger"] = new Script().Say(" one").Bytes("é"u8).Say(" two");
        const string Members = ",\"prompt\":\"Ärger\",\"logprobs\":0";
        var whole = Choice(await CompleteAsync(Members)).GetProperty("logprobs");
        Assert.Equal("[5,9,9,10]", Raw(whole, "text_offset"));
        Assert.Equal("[{\" one\":0.0},{\"bytes:\\\\xc3\":0.0},{\"bytes:\\\\xa9\":0.0},{\" two\":0.0}]", Raw(whole, "top_logprobs"));
        var pieces = (await StreamAsync(Members)).Select(chunk => Choice(chunk)).ToList();
        Assert.Equal(["[5]", "[9,9]", "[10]"], pieces[..^1].Select(choice => Raw(choice.GetProperty("logprobs"), "text_offset")));
        Assert.Equal("[0,0,1,2,3,4,5,9,9,10]", Raw(Choice(await CompleteAsync(Members + ",\"echo\":true")).GetProperty("logprobs"), "text_offset"));
    }

    [Fact]
    public async Task Door_112_each_choice_of_a_stream_begins_with_its_prompt()
    {
        var texts = new StringBuilder[] { new(), new() };
        foreach (var chunk in await StreamAsync(",\"prompt\":[\"A\",\"B\"],\"echo\":true"))
            texts[Choice(chunk).GetProperty("index").GetInt32()].Append(Choice(chunk).GetProperty("text").GetString());
        Assert.Equal(["A one two", "B three"], texts.Select(text => text.ToString()));
    }

    [Fact]
    public async Task Door_114_the_text_of_a_gap_and_texts_that_name_its_marks()
    {
        _hub.Scripts["x<|fim_middle|>y"] = new Script().Say(" red");
        var answer = await CompleteAsync(",\"prompt\":\"x<|fim_middle|>\",\"suffix\":\"y\"");
        Assert.Equal(" red", Choice(answer).GetProperty("text").GetString());
        // Three marks, and every other byte is a token.
        Assert.Equal(3 + "x<|fim_middle|>y".Length, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(4, (await CompleteAsync(",\"prompt\":\"A\",\"suffix\":\"\",\"max_tokens\":1")).GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Special_tokens_are_read_in_a_text_and_max_tokens_is_16()
    {
        _hub.Scripts["A long one"] = new Script().Say(new string('z', 40));
        var answer = await CompleteAsync(",\"prompt\":\"A long one\"");
        Assert.Equal((new string('z', 16), "length"), (Choice(answer).GetProperty("text").GetString(), Choice(answer).GetProperty("finish_reason").GetString()));
        Assert.Equal(1, (await CompleteAsync(",\"prompt\":\"<|im_end|>\",\"max_tokens\":1")).GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task An_answer_is_found_by_its_id_and_joined_by_its_key()
    {
        const string Members = ",\"prompt\":\"A\",\"stream\":true";
        var (_, first) = await PostAsync(Members, ("Idempotency-Key", "k"));
        var (_, again) = await PostAsync(Members, ("Idempotency-Key", "k"));
        Assert.Equal(first, again);
        var id = JsonElement.Parse(first.Split('\n')[0]["data: ".Length..]).GetProperty("id").GetString();
        var found = JsonElement.Parse(await _http.GetStringAsync(new Uri($"v1/completions/{id}", UriKind.Relative), Patience));
        Assert.Equal(("text_completion", " one two"), (found.GetProperty("object").GetString(), Choice(found).GetProperty("text").GetString()));
        var (_, rest) = await PostAsync(Members, ("Idempotency-Key", "k"), ("Last-Event-ID", $"{id}:1"));
        Assert.Equal(first[(first.IndexOf("\n\n", StringComparison.Ordinal) + 2)..], rest.Replace($"id: {id}:2\n", "", StringComparison.Ordinal).Replace($"id: {id}:3\n", "", StringComparison.Ordinal));
    }
}
