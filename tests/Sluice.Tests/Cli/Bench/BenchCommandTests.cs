using System.Text.Json.Nodes;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Cli.Bench;

/// <summary>`sluice bench` against servers on loopback.</summary>
public sealed class BenchCommandTests
{
    private readonly TestTerminal _terminal = new();

    [Fact]
    public async Task A_server_is_measured_and_every_stream_checked()
    {
        await using var server = await ScriptedUpstream.StartAsync(Answer("a", "b"));

        Assert.Equal(0, await _terminal.RunAsync("bench", server.Url, "--model", "m", "-n", "12", "-c", "3", "--warmup", "2", "--goodput", "e2e:1h"));

        Assert.Equal(14, server.Calls.Count);
        Assert.Contains("12 complete, 0 failed", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("12 of 12 kept e2e:1h (100 %)", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("first token", _terminal.Output, StringComparison.Ordinal);
        Assert.Equal("", _terminal.Error);
    }

    [Fact]
    public async Task Answers_that_fail_are_counted_by_kind_and_are_the_exit_code()
    {
        await using var server = await ScriptedUpstream.StartAsync(
            Answer("a"), ScriptedUpstream.Refuses(503, """{"error":{"message":"Busy"}}"""), Answer("a"), reply => reply.EventAsync(ScriptedUpstream.Text("a")), Answer("a"));

        Assert.Equal(1, await _terminal.RunAsync("bench", server.Url, "--model", "m", "-n", "6", "--warmup", "0"));

        Assert.Contains("4 complete, 2 failed", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("1 times: status 503: Busy", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("1 times: ended without [DONE]", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_servers_take_turns_and_the_ratios_are_those_of_the_pairs()
    {
        await using var one = await ScriptedUpstream.StartAsync(Answer("a"));
        await using var other = await ScriptedUpstream.StartAsync(Answer("a"));

        Assert.Equal(0, await _terminal.RunAsync(
            "bench", one.Url, "--against", other.Url, "--model", "m", "-n", "4", "--warmup", "1", "--rounds", "2", "--json", "-"));

        var json = JsonNode.Parse(_terminal.Output)!;
        var runs = json["endpoints"]!.AsArray().Select(static endpoint => endpoint!["runs"]!.AsArray()).ToList();
        Assert.All(runs, static list => Assert.Equal([4, 4], list.Select(static run => run!["completed"]!.GetValue<int>())));
        Assert.All(runs, static list => Assert.All(list, static run => Assert.Equal(4 * 3, run!["output_tokens"]!.GetValue<int>())));
        var pairs = runs[0].Zip(runs[1], static (a, b) => b!["whole_p50_ms"]!.GetValue<double>() / a!["whole_p50_ms"]!.GetValue<double>()).ToList();
        Assert.Equal(pairs.Min(), json["ratios"]!["whole_p50_ms"]!["low"]!.GetValue<double>(), 0.01 * pairs.Min());
        Assert.Equal(pairs.Max(), json["ratios"]!["whole_p50_ms"]!["high"]!.GetValue<double>(), 0.01 * pairs.Max());
    }

    [Fact]
    public async Task The_servers_only_model_is_found_and_the_key_is_sent()
    {
        await using var server = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Refuses(200, """{"object":"list","data":[{"id":"only-one"}]}"""), Answer("a"));
        _terminal.Variables["OPENAI_API_KEY"] = "sk-secret";

        Assert.Equal(0, await _terminal.RunAsync("bench", server.Root, "-n", "1", "--warmup", "0"));

        Assert.Contains("\"model\":\"only-one\"", server.Calls[1].Body, StringComparison.Ordinal);
        Assert.All(server.Calls, static call => Assert.Equal("Bearer sk-secret", call.Headers["Authorization"]));
        Assert.DoesNotContain("sk-secret", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_with_several_models_is_asked_which()
    {
        await using var server = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(200, """{"object":"list","data":[{"id":"a"},{"id":"b"}]}"""));

        Assert.Equal(2, await _terminal.RunAsync("bench", server.Url));
        Assert.Contains("has 2 models; name one with --model, such as a.", _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_at_a_rate_do_not_wait_for_answers()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = 0;
        await using var server = await ScriptedUpstream.StartAsync(async reply =>
        {
            // Nobody is answered before all have asked.
            if (Interlocked.Increment(ref running) == 8) gate.SetResult();
            await gate.Task;
            await Answer("a")(reply);
        });

        Assert.Equal(0, await _terminal.RunAsync("bench", server.Url, "--model", "m", "--rate", "1000", "-n", "8", "--warmup", "0"));
        Assert.Contains("8 complete, 0 failed", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ctrl_C_ends_it_with_what_was_measured()
    {
        var asked = 0;
        await using var server = await ScriptedUpstream.StartAsync(async reply =>
        {
            if (Interlocked.Increment(ref asked) == 4)
            {
                _terminal.PressCtrlC();
                await reply.StallAsync();
            }
            await Answer("a")(reply);
        });

        Assert.Equal(130, await _terminal.RunAsync("bench", server.Url, "--model", "m", "-n", "100", "--warmup", "0"));
        Assert.Contains("3 complete, 0 failed", _terminal.Output, StringComparison.Ordinal);
        Assert.Contains("interrupted", _terminal.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--concurrency", "0", "--concurrency is 0; it must be at least 1 and at most 10000.")]
    [InlineData("--rate", "0", "--rate must be a number of requests per second, above 0 and at most 100000.")]
    [InlineData("--duration", "5", "--duration '5' is not a valid time, such as 500ms, 30s or 5m.")]
    [InlineData("--prompt", "many", "--prompt 'many' is not a valid length, such as 128, 64..256 or 128~32.")]
    [InlineData("--goodput", "fast", "--goodput 'fast' is not of the form ttft:500ms,tpot:50ms,e2e:20s, with one or more of these.")]
    [InlineData("--extra", "[]", "--extra is not a JSON object, such as '{\"ignore_eos\":true}'.")]
    [InlineData("--api-key-env", "NOT_THERE", "The environment variable NOT_THERE is not set.")]
    [InlineData("--prompts", "/not/there.jsonl", "Could not find")]
    public async Task What_is_wrong_with_the_options_is_one_sentence(string option, string value, string sentence)
    {
        Assert.Equal(2, await _terminal.RunAsync("bench", "http://127.0.0.1:1", "--model", "m", option, value));
        Assert.StartsWith("sluice: " + sentence, _terminal.Error, StringComparison.Ordinal);
        Assert.Single(_terminal.Error.Trim().Split('\n'));
    }

    [Fact]
    public async Task An_address_that_is_none_is_refused()
    {
        Assert.Equal(2, await _terminal.RunAsync("bench", "ftp://x"));
        Assert.StartsWith("sluice: 'ftp://x' is not an http or https address", _terminal.Error, StringComparison.Ordinal);
    }

    // With the server's own count of three tokens.
    private static Func<UpstreamReply, Task> Answer(params string[] texts) =>
        ScriptedUpstream.Frames([ScriptedUpstream.Role(), .. texts.Select(static text => ScriptedUpstream.Text(text)), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(completion: 3)]);
}
