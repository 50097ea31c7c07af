using System.Diagnostics;
using System.Text.Json;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Faults;
using Xunit;

namespace Sluice.ConformanceTests.Clients;

/// <summary>OpenAI's Codex, the program itself, at the Responses door in front of an upstream that speaks chat completions.</summary>
public sealed class CodexTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private static string Call(string name, string arguments, int index = 0) => ScriptedUpstream.Chunk(
        $$$"""{"index":0,"delta":{"tool_calls":[{"index":{{{index}}},"id":"call_{{{name}}}{{{(index == 0 ? "" : $"_{index}")}}}","type":"function","function":{"name":"{{{name}}}","arguments":"{{{JsonEncodedText.Encode(arguments)}}}"}}]},"finish_reason":null}""");

    private static string Thought(string text) => ScriptedUpstream.Chunk($$"""{"index":0,"delta":{"reasoning_content":"{{text}}"},"finish_reason":null}""");

    [Fact]
    public async Task A_text_is_one_request_and_one_message()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("The answer", " is 42."));
        await using var hub = await StartHubAsync(upstream);
        var (output, exitCode) = await AskAsync(hub.Address, "Say something.");
        Assert.True(exitCode == 0, output);
        Assert.Contains("The answer is 42.", output, StringComparison.Ordinal);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task A_command_runs_and_its_call_its_result_and_the_reasoning_come_back()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(
                ScriptedUpstream.Role(), Thought("I run it."), Call("exec_command", """{"cmd":"echo from-$((40+2))"}"""), ScriptedUpstream.Finish("tool_calls"),
                ScriptedUpstream.Usage()),
            ScriptedUpstream.Says("Done."));
        await using var hub = await StartHubAsync(upstream);
        var (output, exitCode) = await AskAsync(hub.Address, "Run it.");
        Assert.True(exitCode == 0, output);
        var messages = Json.Parse(upstream.Calls[^1].Body).GetProperty("messages").EnumerateArray().ToArray();
        var call = messages[^2];
        Assert.Equal("I run it.", call.GetProperty("reasoning_content").GetString());
        Assert.Equal("call_exec_command", call.GetProperty("tool_calls")[0].GetProperty("id").GetString());
        Assert.Equal("call_exec_command", messages[^1].GetProperty("tool_call_id").GetString());
        Assert.Contains("from-42", messages[^1].GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Fact]
    public async Task Two_calls_of_one_answer_run_and_their_results_come_back_in_order()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(
                ScriptedUpstream.Role(), ScriptedUpstream.Text("Both."), Call("exec_command", """{"cmd":"echo one-$((40+1))"}"""), Call("exec_command", """{"cmd":"echo two-$((40+2))"}""", 1),
                ScriptedUpstream.Finish("tool_calls"), ScriptedUpstream.Usage()),
            ScriptedUpstream.Says("Done."));
        await using var hub = await StartHubAsync(upstream);
        var (output, exitCode) = await AskAsync(hub.Address, "Run both.");
        Assert.True(exitCode == 0, output);
        var messages = Json.Parse(upstream.Calls[^1].Body).GetProperty("messages").EnumerateArray().ToArray();
        Assert.Equal(["call_exec_command", "call_exec_command_1"], messages[^3].GetProperty("tool_calls").EnumerateArray().Select(call => call.GetProperty("id").GetString()));
        Assert.Contains("one-41", messages[^2].GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.Contains("two-42", messages[^1].GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.Equal(2, upstream.Calls.Count);
    }

    // door-053: Codex knows a model of this name, and offers it its patches as a tool whose input is text.
    [Fact]
    public async Task A_patch_is_written_by_a_custom_tool_that_the_upstream_knows_as_a_function()
    {
        const string Patch = """{"input":"*** Begin Patch\n*** Add File: note.txt\n+written by a \"patch\"\n*** End Patch\n"}""";
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(ScriptedUpstream.Role(), Call("apply_patch", Patch), ScriptedUpstream.Finish("tool_calls"), ScriptedUpstream.Usage()),
            ScriptedUpstream.Says("Done."));
        await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: gpt-5.5, upstreams: [{{url: \"{upstream.Url}\"}}]}}\n");
        var (output, exitCode) = await AskAsync(hub.Address, "Write it.", model: "gpt-5.5");
        Assert.True(exitCode == 0, output);
        var tools = Json.Parse(upstream.Calls[0].Body).GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("function"));
        Assert.Contains("begin_patch", tools.Single(tool => tool.GetProperty("name").ValueEquals("apply_patch")).GetProperty("description").GetString(), StringComparison.Ordinal);
        var messages = Json.Parse(upstream.Calls[^1].Body).GetProperty("messages").EnumerateArray().ToArray();
        var (called, sent) = (Json.Parse(messages[^2].GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString()!), Json.Parse(Patch));
        Assert.Equal(sent.GetProperty("input").GetString(), called.GetProperty("input").GetString());
        Assert.Contains("A note.txt", messages[^1].GetProperty("content").GetString(), StringComparison.Ordinal);
    }

    // door-054: each retry joins the answer that runs, or has ended.
    [Fact]
    public async Task A_stream_that_is_cut_five_times_costs_one_generation()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says([.. Enumerable.Range(0, 60).Select(static i => $"word{i} ")]));
        await using var hub = await StartHubAsync(upstream);
        // The beginning has the request's tools in it; the cuts are in the words behind it.
        await using var proxy = FaultProxy.Start(
            hub.Address, connection => connection < 5 ? new ConnectionPlan(connection % 2 == 0 ? ConnectionFault.Close : ConnectionFault.Reset, 50_000 + (connection * 500)) : new ConnectionPlan());
        var (output, exitCode) = await AskAsync(proxy.Address, "Count.");
        Assert.True(exitCode == 0, output);
        Assert.Contains("word59", output, StringComparison.Ordinal);
        Assert.Equal(5, proxy.FaultCount);
        Assert.Single(upstream.Calls);
    }

    // door-056: what an agent has gone on from costs nothing more.
    [Fact]
    public async Task The_answer_that_a_turn_has_left_behind_ends_when_the_next_request_comes()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            async reply =>
            {
                await reply.EventAsync(ScriptedUpstream.Role());
                await reply.EventAsync(Call("exec_command", """{"cmd":"true"}"""));
                // The text behind it closes the item, so Codex runs the command, and goes on without an end.
                while (!reply.Aborted.IsCancellationRequested)
                {
                    await reply.EventAsync(ScriptedUpstream.Text("And now. "));
                    await Task.Delay(10, reply.Aborted);
                }
            },
            ScriptedUpstream.Says("Done."));
        await using var hub = await StartHubAsync(upstream);
        await using var proxy = FaultProxy.Start(
            hub.Address, connection => connection == 0 ? new ConnectionPlan(ConnectionFault.Close, 60_000) : new ConnectionPlan());
        var (output, exitCode) = await AskAsync(proxy.Address, "Run it.");
        Assert.True(exitCode == 0, output);
        Assert.Equal(2, upstream.Calls.Count);
        await upstream.Calls[0].Aborted.WaitAsync(s_patience);
    }

    [Fact]
    public async Task An_unknown_model_is_one_request()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("no"));
        await using var hub = await StartHubAsync(upstream);
        var (output, exitCode) = await AskAsync(hub.Address, "Hi", model: "nobody");
        Assert.NotEqual(0, exitCode);
        Assert.Contains("nobody", output, StringComparison.Ordinal);
        Assert.Empty(upstream.Calls);
    }

    private static Task<TestHub> StartHubAsync(ScriptedUpstream upstream) =>
        TestHub.StartConfiguredAsync($"  - {{id: m, upstreams: [{{url: \"{upstream.Url}\"}}]}}\n");

    private static async Task<(string Output, int ExitCode)> AskAsync(Uri address, string question, string model = "m")
    {
        if (await ClientSdks.FindNodeAsync() is not { } found || !File.Exists(Path.Combine(found.Modules, ".bin", "codex"))) Assert.Skip(ClientSdks.NoNode);
        var (node, modules) = (await ClientSdks.FindNodeAsync())!.Value;
        var home = Directory.CreateTempSubdirectory("sluice-codex-").FullName;
        try
        {
            await File.WriteAllTextAsync(
                Path.Combine(home, "config.toml"),
                $"""
                model = "{model}"
                model_provider = "sluice"
                [model_providers.sluice]
                name = "Sluice"
                base_url = "{new Uri(address, "v1")}"
                wire_api = "responses"
                """);
            var start = new ProcessStartInfo(
                node,
                [Path.Combine(modules, ".bin", "codex"), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", question])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = home,
            };
            start.Environment["CODEX_HOME"] = home;
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            using var patience = new CancellationTokenSource(s_patience);
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                Assert.Fail($"Codex did not end.\n{await output}\n{await errors}");
            }
            return (await output + await errors, process.ExitCode);
        }
        finally
        {
            Directory.Delete(home, recursive: true);
        }
    }
}
