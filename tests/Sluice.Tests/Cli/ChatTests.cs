using System.Text.RegularExpressions;
using Sluice.Tests.Repository;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice chat` with the model that the project carries.</summary>
public sealed class ChatTests
{
    private static readonly string Models = RepositoryFiles.FullPath("models");

    [Fact]
    public async Task A_pipe_gets_one_answer_and_nothing_else()
    {
        var terminal = new TestTerminal { Input = new StringReader("Say hello.\n") };
        Assert.Equal(0, await ChatAsync(terminal, "--max-tokens", "8"));
        // Drawn at random: now and then nothing but faces.
        Assert.Matches(@"\S", terminal.Output);
        Assert.DoesNotContain("tokens/s", terminal.Output, StringComparison.Ordinal);
        Assert.Matches(@"^\[\d tokens?, ([\d.]+ tokens/s, )?first after \d+ ms(, cut at the token limit)?\]", terminal.Error);
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_answer()
    {
        var first = new TestTerminal { Input = new StringReader("Tell me a story.") };
        var second = new TestTerminal { Input = new StringReader("Tell me a story.") };
        await ChatAsync(first, "--max-tokens", "16", "--seed", "5", "--temperature", "1");
        await ChatAsync(second, "--max-tokens", "16", "--seed", "5", "--temperature", "1");
        Assert.Equal(first.Output, second.Output);
    }

    [Fact]
    public async Task A_person_is_asked_again_until_the_input_ends()
    {
        var terminal = new TestTerminal { IsInteractive = true, Input = new StringReader("Say hello.\n\nSay it again.\n") };
        Assert.Equal(0, await ChatAsync(terminal, "--max-tokens", "8"));
        Assert.Equal(4, Regex.Count(terminal.Output, "^> ", RegexOptions.Multiline));
        Assert.Equal(2, Regex.Count(terminal.Output, @"^\[\d tokens?", RegexOptions.Multiline));
    }

    [Fact]
    public async Task Ctrl_C_stops_the_answer_and_not_the_conversation()
    {
        var terminal = new TestTerminal { IsInteractive = true, Input = new StringReader("Count from one to one thousand.\nSay hello.\n") };
        var isPressed = false;
        terminal.Written = output =>
        {
            if (!isPressed && Regex.IsMatch(output, @"\n> ."))
            {
                isPressed = true;
                terminal.PressCtrlC();
            }
        };
        Assert.Equal(0, await ChatAsync(terminal, "--max-tokens", "400"));
        Assert.Equal(1, Regex.Count(terminal.Output, "stopped"));
        Assert.Equal(2, Regex.Count(terminal.Output, @"^\[\d+ tokens?", RegexOptions.Multiline));
    }

    [Fact]
    public async Task Ctrl_C_at_the_prompt_leaves()
    {
        using var silence = new SilentReader();
        var terminal = new TestTerminal { IsInteractive = true, Input = silence };
        terminal.Written = output =>
        {
            if (output.EndsWith("> ", StringComparison.Ordinal))
            {
                terminal.PressCtrlC();
            }
        };
        Assert.Equal(0, await ChatAsync(terminal));
    }

    [Fact]
    public async Task A_message_longer_than_the_context_is_one_sentence()
    {
        var terminal = new TestTerminal { Input = new StringReader(string.Concat(Enumerable.Repeat("one two three ", 3000))) };
        Assert.Equal(2, await ChatAsync(terminal));
        Assert.Equal("sluice: The message is longer than the model's context of 8192 tokens.\n", terminal.Error);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{% if false %}x{% endif %}")]
    public async Task B117_A_template_that_makes_nothing_of_a_message_is_one_sentence(string template)
    {
        var folder = Directory.CreateTempSubdirectory("sluice-chat-").FullName;
        await File.WriteAllBytesAsync(Path.Combine(folder, "empty.gguf"), new TinyModel("empty") { ChatTemplate = template }.ToArray());
        var terminal = new TestTerminal { Input = new StringReader("Hi") };
        Assert.Equal(2, await terminal.RunAsync(["chat", "empty", "--models", folder]));
        Assert.Equal("sluice: The model's chat template makes an empty prompt of the messages: there is nothing to answer.\n", terminal.Error);

        terminal = new TestTerminal { IsInteractive = true, Input = new StringReader("Hi\nHi\n") };
        Assert.Equal(0, await terminal.RunAsync(["chat", "empty", "--models", folder]));
        Assert.Equal(2, terminal.Error.AsSpan().Count('\n'));
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("The input is empty", "smollm2-135m-instruct")]
    [InlineData("There is no model 'nope'; the models are: ", "nope")]
    [InlineData("There is no model 'smollm2-135m-instrukt'; did you mean 'smollm2-135m-instruct'? the models are: ", "smollm2-135m-instrukt")]
    [InlineData("There is no file nope.gguf; 'sluice models' lists the models.", "nope.gguf")]
    [InlineData("There is no file no/where; 'sluice models' lists the models.", "no/where")]
    [InlineData("--temperature is a number from 0 to 2, not '3'", "--temperature", "3")]
    [InlineData("--max-tokens is a whole number from 1, not 'x'", "--max-tokens", "x")]
    [InlineData("--seed is a whole number from 0, not '-1'", "--seed", "-1")]
    public async Task What_cannot_be_is_one_sentence(string sentence, params string[] arguments)
    {
        var terminal = new TestTerminal();
        Assert.Equal(2, await terminal.RunAsync(["chat", .. arguments, "--models", Models]));
        Assert.StartsWith("sluice: " + sentence, terminal.Error, StringComparison.Ordinal);
        Assert.Equal(1, terminal.Error.AsSpan().Count('\n'));
    }

    [Fact]
    public async Task A_question_of_the_command_line_is_answered_once_and_sensibly()
    {
        var terminal = new TestTerminal { IsInteractive = true };
        Assert.Equal(0, await terminal.RunAsync("run", "smollm2-135m-instruct", "What is the capital of", "France?", "--seed", "1", "--models", Models, "--max-tokens", "24"));
        Assert.Contains("Paris", terminal.Output, StringComparison.Ordinal);
        Assert.StartsWith("[", terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_models_own_defaults_count_and_the_configurations_before_them()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-chat-").FullName;
        var file = Path.Combine(folder, "sluice.yaml");
        await File.WriteAllTextAsync(file, "models:\n  - {id: a, gguf: SmolLM2-135M-Instruct.Q4_1.gguf, defaults: {max_tokens: 3}}\n");
        var terminal = new TestTerminal { Input = new StringReader("Count to ten.") };
        Assert.Equal(0, await terminal.RunAsync("chat", "--config", file, "--models", Models));
        Assert.StartsWith("[3 tokens, ", terminal.Error, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_byte_order_mark_is_no_text()
    {
        var terminal = new TestTerminal { Input = new StringReader("\uFEFF\n") };
        Assert.Equal(2, await ChatAsync(terminal));
        Assert.StartsWith("sluice: The input is empty", terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lines_with_a_slash_are_for_the_program()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-chat-").FullName;
        var saved = Path.Combine(folder, "talk.json");
        string[] lines =
        [
            "/help", "/hepl", "/system Be brief.", "/system", "Say hello.", $"/save {saved}", $"/save {saved}", "/retry", "/undo", "/undo",
            $"/load {saved}", "/model nope", "/model smollm2-135m-instruct", "/save", "/stats", "/exit", "This is not asked.",
        ];
        var terminal = new TestTerminal { IsInteractive = true, Input = new StringReader(string.Join('\n', lines)) };
        Assert.Equal(0, await ChatAsync(terminal, "--max-tokens", "4"));

        Assert.Contains("/system [TEXT]    set the system message", terminal.Output, StringComparison.Ordinal);
        Assert.Contains("System message: Be brief.\n", terminal.Output, StringComparison.Ordinal);
        // The question, and the same again.
        Assert.Equal(2, Regex.Count(terminal.Output, @"^\[\d tokens?,", RegexOptions.Multiline));
        Assert.Contains("Taken back: Say hello.\n", terminal.Output, StringComparison.Ordinal);
        Assert.Contains("There is nothing to take back.\n", terminal.Output, StringComparison.Ordinal);
        Assert.Contains($"Loaded {saved}: 3 messages.\n", terminal.Output, StringComparison.Ordinal);
        Assert.Contains("\n2 answers: ", terminal.Output.Replace("> 2", "\n2", StringComparison.Ordinal), StringComparison.Ordinal);
        var errors = terminal.Error.TrimEnd().Split('\n');
        Assert.Equal("There is no command /hepl; did you mean /help? /help lists them. Begin with // to send a message that begins with a slash.", errors[0]);
        Assert.Contains("talk.json", errors[1], StringComparison.Ordinal);
        Assert.StartsWith("There is no model 'nope'; ", errors[2], StringComparison.Ordinal);
        Assert.Equal("/save needs the name of a file.", errors[3]);
        Assert.Equal(4, errors.Length);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Settings_and_tools_can_be_changed_and_several_lines_are_one_message()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-chat-").FullName;
        var (tools, saved) = (Path.Combine(folder, "tools.json"), Path.Combine(folder, "talk.json"));
        await File.WriteAllTextAsync(tools, """[{"type":"function","function":{"name":"get_weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]""");
        string[] lines =
        [
            "/set", "/set temprature 1", "/set temperature 3", "/set max_tokens 5", "/set seed 7", "/set temperature 0", "one\\", "two", "\"\"\"three", "/four", "five\"\"\"", $"/save {saved}",
            "/set max_tokens default", "/tools", $"/tools {saved}", $"/tools {tools}", "What is the weather in Berlin?", "sunny", $"/tools off", $"/save {saved}.2", $"/load {saved}.2", "/exit",
        ];
        var terminal = new TestTerminal { IsInteractive = true, Input = new StringReader(string.Join('\n', lines)) };
        Assert.Equal(0, await ChatAsync(terminal, "--max-tokens", "60"));
        Assert.Contains("max_tokens          60 (set)\n", terminal.Output, StringComparison.Ordinal);
        Assert.Contains("max_tokens          5 (set)\n", terminal.Output, StringComparison.Ordinal);
        Assert.Equal(2, Regex.Count(terminal.Output, @"^\[\d tokens?, [^\n]*cut at the token limit\]", RegexOptions.Multiline));
        Assert.Contains("\"one\\ntwo\"", await File.ReadAllTextAsync(saved), StringComparison.Ordinal);
        Assert.Contains("\"three\\n/four\\nfive\"", await File.ReadAllTextAsync(saved), StringComparison.Ordinal);
        Assert.Contains("Tools: get_weather.\n", terminal.Output, StringComparison.Ordinal);
        Assert.Matches(@"\nget_weather\(\{""city"": ?""[^\n]*\}\)\n", terminal.Output);
        Assert.Contains("result of get_weather> ", terminal.Output, StringComparison.Ordinal);
        Assert.Contains("There are no tools.\n", terminal.Output, StringComparison.Ordinal);
        Assert.Contains("\"tool_call_id\": \"call_1\"", await File.ReadAllTextAsync(saved + ".2"), StringComparison.Ordinal);
        Assert.Contains($"Loaded {saved}.2: ", terminal.Output, StringComparison.Ordinal);
        var errors = terminal.Error.TrimEnd().Split('\n');
        Assert.StartsWith("There is no setting 'temprature'; did you mean temperature? there are ", errors[0], StringComparison.Ordinal);
        Assert.Equal("temperature is a number from 0 to 2, or default, not '3'.", errors[1]);
        Assert.StartsWith($"{saved} holds no tools; ", errors[2], StringComparison.Ordinal);
        Assert.Equal(3, errors.Length);
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("""[{"role":"user","content":"no answer"}]""")]
    [InlineData("""[{"role":"assistant","content":"a"},{"role":"user","content":"b"}]""")]
    [InlineData("no JSON")]
    public async Task A_file_that_is_no_conversation_is_one_sentence(string text)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, text);
        var terminal = new TestTerminal { IsInteractive = true, Input = new StringReader($"/load {file}\n") };
        Assert.Equal(0, await ChatAsync(terminal));
        Assert.StartsWith($"{file} is not a saved conversation; ", Assert.Single(terminal.Error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        File.Delete(file);
    }

    private static Task<int> ChatAsync(TestTerminal terminal, params string[] options) =>
        terminal.RunAsync(["chat", "smollm2-135m-instruct", "--models", Models, .. options]);

    /// <summary>Input of a user who types nothing.</summary>
    private sealed class SilentReader : TextReader
    {
        private readonly ManualResetEventSlim _end = new();

        public override string? ReadLine()
        {
            _end.Wait();
            return null;
        }

        protected override void Dispose(bool disposing)
        {
            _end.Set();
            base.Dispose(disposing);
        }
    }
}
