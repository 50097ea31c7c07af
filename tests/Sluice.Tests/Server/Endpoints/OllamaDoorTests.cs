using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>What Ollama's clients ask of its API over HTTP; that its own client understands it is held in the conformance tests.</summary>
public sealed class OllamaDoorTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<(HttpStatusCode Status, string Type, JsonNode[] Lines)> PostAsync(Uri address, string path, string body, string? type = "application/json", string? key = null, string? origin = null)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(address, path)) { Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) };
        request.Content.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type);
        if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        if (origin is not null) request.Headers.Add("Origin", origin);
        using var response = await http.SendAsync(request, Cancellation);
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        return (response.StatusCode, response.Content.Headers.ContentType!.MediaType!, [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => JsonNode.Parse(line)!)]);
    }

    private static async Task<JsonNode> GetAsync(Uri address, string path)
    {
        using var http = new HttpClient();
        return JsonNode.Parse(await http.GetStringAsync(new Uri(address, path), Cancellation))!;
    }

    private const string Chat = """{"model":"scripted","messages":[{"role":"user","content":"text"}]}""";

    [Fact]
    public async Task A_command_that_calls_its_body_a_form_is_answered_with_lines_and_a_page_in_a_browser_is_not()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["text"] = new Script().Say(" one two");
        var (status, type, lines) = await PostAsync(hub.Address, "/api/chat", Chat, "application/x-www-form-urlencoded");
        Assert.Equal((HttpStatusCode.OK, "application/x-ndjson"), (status, type));
        Assert.Equal(" one two", string.Concat(lines.Select(static line => (string?)line["message"]!["content"])));
        var (refused, _, error) = await PostAsync(hub.Address, "/api/chat", Chat, "text/plain", origin: "http://localhost:3000");
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, refused);
        Assert.NotNull((string?)Assert.Single(error)["error"]);
    }

    [Fact]
    public async Task Errors_have_one_member_and_keys_are_those_of_the_hub()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ApiKeys = ["sk-ollama-0123456789"] });
        hub.Scripts["text"] = new Script().Say(" one");
        foreach (var path in (string[])["/api/chat", "/api/embed", "/api/show"])
        {
            var (status, _, error) = await PostAsync(hub.Address, path, Chat);
            Assert.Equal(HttpStatusCode.Unauthorized, status);
            Assert.Equal(["error"], Assert.Single(error).AsObject().Select(static member => member.Key));
        }
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(hub.Address, "/api/chat", Chat, key: "sk-ollama-0123456789")).Status);
        var (pull, _, told) = await PostAsync(hub.Address, "/api/pull", """{"model":"gemma3"}""", key: "sk-ollama-0123456789");
        Assert.Equal(HttpStatusCode.BadRequest, pull);
        Assert.Contains("sluice pull", (string?)told[0]["error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_silence_is_white_space_before_the_next_line()
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Limits = new Limits { HeartbeatInterval = TimeSpan.FromMilliseconds(20), HeadersHeld = TimeSpan.FromMilliseconds(20) } });
        var gate = new Gate();
        hub.Scripts["text"] = new Script().Say(" one").Wait(gate).Say(" two");
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(hub.Address, "/api/chat")) { Content = new StringContent(Chat) };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        await using var stream = await response.Content.ReadAsStreamAsync(Cancellation);
        using var reader = new StreamReader(stream);
        Assert.StartsWith("{", (await reader.ReadLineAsync(Cancellation))!.TrimStart(' '), StringComparison.Ordinal);
        var buffer = new char[1];
        Assert.Equal(1, await reader.ReadAsync(buffer, Cancellation));
        Assert.Equal(' ', buffer[0]);
        gate.Open();
        Assert.Equal(" two", (string?)JsonNode.Parse((await reader.ReadLineAsync(Cancellation))!)!["message"]!["content"]);
    }

    [Fact]
    public async Task A_raw_prompt_goes_to_the_model_without_a_template_and_past_sixteen_tokens()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["raw text"] = new Script().Say(string.Concat(Enumerable.Repeat(" one", 30)));
        var (_, _, lines) = await PostAsync(hub.Address, "/api/generate", """{"model":"scripted","prompt":"raw text","raw":true,"stream":false}""");
        var whole = Assert.Single(lines);
        Assert.Equal(("stop", string.Concat(Enumerable.Repeat(" one", 30))), ((string?)whole["done_reason"], (string?)whole["response"]));
    }

    [Fact]
    public async Task A_key_joins_and_an_id_finds_the_answer()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["text"] = new Script().Say(" one two");
        using var http = new HttpClient();
        string? location = null;
        foreach (var way in (string[])["created", "replayed"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(hub.Address, "/api/chat")) { Content = new StringContent(Chat) };
            request.Headers.Add("Idempotency-Key", "k1");
            using var response = await http.SendAsync(request, Cancellation);
            await response.Content.ReadAsStringAsync(Cancellation);
            Assert.Equal(way, response.Headers.GetValues("Sluice-Stream-Attempt").Single());
            location = response.Content.Headers.ContentLocation!.ToString();
        }
        var rest = await http.GetStringAsync(new Uri(hub.Address, location + "&starting_after=1"), Cancellation);
        Assert.Equal(2, rest.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        var whole = JsonNode.Parse(await http.GetStringAsync(new Uri(hub.Address, location!.Split('?')[0]), Cancellation))!;
        Assert.Equal((" one two", "completed"), ((string?)whole["message"]!["content"], (string?)whole["sluice"]!["state"]));
    }

    [Fact]
    public async Task Models_are_described_as_editors_read_them()
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get("granite").ToArray());
        using var vectors = new TemporaryGguf(TinyArchitectures.Get("bert").ToArray());
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: small, gguf: {file.Path}, aliases: [tiny]}}\n  - {{id: vectors, gguf: {vectors.Path}}}\n  - {{id: far, upstreams: [{{url: \"http://127.0.0.1:9\"}}]}}\n");
        var address = new Uri(hub.Address);
        var list = (await GetAsync(address, "/api/tags"))["models"]!.AsArray();
        Assert.Equal(["small", "tiny", "vectors", "far"], list.Select(static model => (string?)model!["name"]));
        Assert.All(list, static model => Assert.Matches("^[0-9a-f]{64}$", (string?)model!["digest"]));
        Assert.Equal(("gguf", "granite", "F32"), ((string?)list[0]!["details"]!["format"], (string?)list[0]!["details"]!["family"], (string?)list[0]!["details"]!["quantization_level"]));
        Assert.Equal(["embedding"], list[2]!["capabilities"]!.AsArray().Select(static word => (string?)word));
        Assert.Contains("tools", list[3]!["capabilities"]!.AsArray().Select(static word => (string?)word));
        var (_, _, shown) = await PostAsync(address, "/api/show", """{"model":"small:latest"}""");
        var info = shown[0]["model_info"]!;
        Assert.Equal(("granite", 256), ((string?)info["general.architecture"], (int)info["granite.context_length"]!));
        Assert.Equal(HttpStatusCode.NotFound, (await PostAsync(address, "/api/show", """{"model":"nobody"}""")).Status);
        // Nothing null where an editor looks into it.
        var (_, _, far) = await PostAsync(address, "/api/show", """{"name":"far"}""");
        Assert.NotNull(far[0]["model_info"]!["general.architecture"]);
    }

    [Fact]
    public async Task A_result_of_a_tool_needs_no_call_before_it()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["question"] = new Script().Say(" one");
        var (status, _, lines) = await PostAsync(
            hub.Address, "/api/chat", """{"model":"scripted","messages":[{"role":"tool","content":"21","tool_name":"f"},{"role":"user","content":"question"}],"stream":false}""");
        Assert.Equal((HttpStatusCode.OK, " one"), (status, (string?)Assert.Single(lines)["message"]!["content"]));
    }

    [Fact]
    public async Task The_limit_of_tokens_ends_an_answer_with_length_and_minus_one_is_none()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["text"] = new Script().Say(string.Concat(Enumerable.Repeat(" one", 30)));
        foreach (var (limit, reason, count) in ((int, string, int)[])[(5, "length", 5), (-1, "stop", 30)])
        {
            var (_, _, lines) = await PostAsync(hub.Address, "/api/chat", $$"""{"model":"scripted","messages":[{"role":"user","content":"text"}],"options":{"num_predict":{{limit}}} }""");
            Assert.Equal((true, reason), ((bool)lines[^1]["done"]!, (string?)lines[^1]["done_reason"]));
            Assert.Equal(string.Concat(Enumerable.Repeat(" one", count)), string.Concat(lines.Select(static line => (string?)line["message"]!["content"])));
        }
    }

    [Fact]
    public async Task Nothing_to_make_vectors_of_makes_none()
    {
        using var vectors = new TemporaryGguf(TinyArchitectures.Get("bert").ToArray());
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: vectors, gguf: {vectors.Path}}}\n");
        var address = new Uri(hub.Address);
        foreach (var input in (string[])["", ",\"input\":\"\"", ",\"input\":[]", ",\"input\":null"])
        {
            var (status, _, lines) = await PostAsync(address, "/api/embed", $$"""{"model":"vectors"{{input}}}""");
            Assert.Equal((HttpStatusCode.OK, "vectors", 0), (status, (string?)lines[0]["model"], lines[0]["embeddings"]!.AsArray().Count));
        }

        var (_, _, older) = await PostAsync(address, "/api/embeddings", """{"model":"vectors","prompt":""}""");
        Assert.Empty(older[0]["embedding"]!.AsArray());
        Assert.Equal(HttpStatusCode.NotFound, (await PostAsync(address, "/api/embed", """{"model":"nobody","input":[]}""")).Status);
    }

    [Fact]
    public async Task A_model_is_loaded_and_unloaded_without_an_answer()
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get("granite").ToArray());
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: small, gguf: {file.Path}}}\n  - {{id: far, upstreams: [{{url: \"http://127.0.0.1:9\"}}]}}\n");
        var address = new Uri(hub.Address);
        Assert.Empty((await GetAsync(address, "/api/ps"))["models"]!.AsArray());
        var (_, _, loaded) = await PostAsync(address, "/api/generate", """{"model":"small"}""");
        Assert.Equal("load", (string?)loaded[0]["done_reason"]);
        var running = Assert.Single((await GetAsync(address, "/api/ps"))["models"]!.AsArray())!;
        Assert.Equal(("small", 256, 0), ((string?)running["name"], (int)running["context_length"]!, (int)running["size_vram"]!));
        var (_, _, unloaded) = await PostAsync(address, "/api/chat", """{"model":"small","messages":[],"keep_alive":0}""");
        Assert.Equal("unload", (string?)unloaded[0]["done_reason"]);
        Assert.Empty((await GetAsync(address, "/api/ps"))["models"]!.AsArray());
    }
}
