using System.Text.Json;
using Sluice.Cli.Commands;
using Sluice.Cli.Pull;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>`sluice pull` against a hub on loopback.</summary>
public sealed class PullTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-pull-").FullName;
    private readonly TestTerminal _terminal = new();
    private FileHub _hub = null!;

    private string Target => Path.Combine(_folder, "tiny.gguf");

    private string Part => Target + ".part";

    public async ValueTask InitializeAsync()
    {
        var content = new byte[3_000_000];
        new Random(1).NextBytes(content);
        "GGUF"u8.CopyTo(content);
        _hub = await FileHub.StartAsync(content);
        _terminal.Variables["HF_ENDPOINT"] = _hub.Address.ToString();
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("owner/repo/tiny.gguf")]
    [InlineData("hf.co/owner/repo/tiny.gguf")]
    [InlineData("https://huggingface.co/owner/repo/resolve/main/tiny.gguf")]
    [InlineData("https://huggingface.co/owner/repo/blob/main/tiny.gguf?download=true")]
    public async Task A_file_arrives_whole_and_checked(string name)
    {
        Assert.Equal(0, await PullAsync(name));

        Assert.Equal(_hub.Content, await File.ReadAllBytesAsync(Target));
        Assert.False(File.Exists(Part));
        Assert.Contains("SHA-256 checked", _terminal.Output, StringComparison.Ordinal);
        Assert.Equal([FileHub.FilePath, "/store/tiny"], _hub.Requests);
    }

    [Fact]
    public async Task Without_a_name_the_names_are_listed_with_what_fits()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "Qwen3-0.6B-Q8_0.gguf"), "");
        PullCommand.List(_terminal.Terminal, [_folder], 2_000_000_000, asJson: false);
        Assert.Matches(@"(?m)^NAME +SIZE +MEMORY +LICENSE +HERE$", _terminal.Output);
        Assert.Matches(@"(?m)^qwen3-0.6b +639\.0 MB +fits +Apache-2\.0 +yes$", _terminal.Output);
        Assert.Matches(@"(?m)^mistral-7b-instruct +4\.4 GB +too large +Apache-2\.0$", _terminal.Output);

        var terminal = new TestTerminal();
        Assert.Equal(0, await terminal.RunAsync("pull", "--json"));
        using var json = JsonDocument.Parse(terminal.Output);
        Assert.Equal(KnownModels.All.Select(model => model.Name), json.RootElement.EnumerateArray().Select(model => model.GetProperty("name").GetString()));
        Assert.Empty(_hub.Requests);
    }

    [Theory]
    [InlineData(1_000_000_000, "qwen2.5-0.5b-instruct")]
    [InlineData(2_100_000_000, "qwen2.5-1.5b-instruct")]
    [InlineData(16_000_000_000, "qwen3-1.7b")]
    public void A_useful_model_fits_the_machine(long memory, string name) => Assert.Equal(name, KnownModels.Useful(memory).Name);

    [Fact]
    public async Task A_broken_download_goes_on_where_it_ended()
    {
        _hub.CutAfter = 1_234_567;
        Assert.Equal(2, await PullAsync());
        AssertOneSentence("broke off after 1.2 MB of 3.0 MB; run the command again");
        Assert.False(File.Exists(Target));
        var kept = new FileInfo(Part).Length;
        Assert.InRange(kept, 1, 1_234_567);

        _hub.CutAfter = null;
        AssertPulled(await PullAsync());
        Assert.Equal(_hub.Content, await File.ReadAllBytesAsync(Target));
        Assert.Contains($"/store/tiny bytes={kept}-", _hub.Requests);
    }

    [Fact]
    public async Task A_complete_part_is_only_checked()
    {
        await File.WriteAllBytesAsync(Part, _hub.Content);
        AssertPulled(await PullAsync());
        Assert.Equal(_hub.Content, await File.ReadAllBytesAsync(Target));
    }

    [Fact]
    public async Task A_server_without_ranges_sends_all_again()
    {
        _hub.HasRanges = false;
        await File.WriteAllBytesAsync(Part, _hub.Content[..1_000]);
        AssertPulled(await PullAsync());
        Assert.Equal(_hub.Content, await File.ReadAllBytesAsync(Target));
    }

    [Fact]
    public async Task A_part_that_is_longer_than_the_file_is_thrown_away()
    {
        await File.WriteAllBytesAsync(Part, new byte[_hub.Content.Length + 1]);
        AssertPulled(await PullAsync());
        Assert.Equal(_hub.Content, await File.ReadAllBytesAsync(Target));
    }

    [Fact]
    public async Task A_part_of_another_version_is_found_by_the_hash()
    {
        await File.WriteAllBytesAsync(Part, [.. "GGUF"u8, 1, 2, 3]);
        Assert.Equal(2, await PullAsync());
        AssertOneSentence($"expected {_hub.Sha256}; the download was removed");
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task Without_a_stated_hash_a_part_is_not_trusted()
    {
        _hub.StatedSha256 = null;
        await File.WriteAllBytesAsync(Part, [.. "GGUF"u8, 1, 2, 3]);
        AssertPulled(await PullAsync());
        Assert.Equal(_hub.Content, await File.ReadAllBytesAsync(Target));
        Assert.Contains("not checked", _terminal.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_hash_leaves_nothing_behind()
    {
        _hub.StatedSha256 = new string('a', 64);
        Assert.Equal(2, await PullAsync());
        AssertOneSentence($"tiny.gguf has the SHA-256 {_hub.Sha256}, expected {_hub.StatedSha256}");
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task A_page_is_no_model()
    {
        _hub.Content = "<html>Please log in</html>"u8.ToArray();
        _hub.StatedSha256 = null;
        Assert.Equal(2, await PullAsync());
        AssertOneSentence("is not a GGUF file");
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Theory]
    [InlineData(404, "There is no tiny.gguf at http://127.0.0.1:")]
    [InlineData(401, "set HF_TOKEN")]
    [InlineData(403, "set HF_TOKEN")]
    [InlineData(429, "too many requests")]
    [InlineData(500, "returned status 500")]
    public async Task A_refusal_is_one_sentence(int status, string sentence)
    {
        _hub.Status = status;
        Assert.Equal(2, await PullAsync());
        AssertOneSentence(sentence);
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task Redirects_in_a_circle_end()
    {
        _hub.Location = FileHub.FilePath;
        Assert.Equal(2, await PullAsync());
        AssertOneSentence("redirects in a circle");
        Assert.Equal(PullLimits.RedirectsMax + 1, _hub.Requests.Count);
    }

    [Fact]
    public async Task An_existing_file_is_not_touched()
    {
        await File.WriteAllTextAsync(Target, "mine");
        Assert.Equal(2, await PullAsync());
        AssertOneSentence("already exists");
        Assert.Equal("mine", await File.ReadAllTextAsync(Target));
        Assert.Empty(_hub.Requests);
    }

    [Fact]
    public async Task Without_a_network_there_is_one_sentence_and_no_file()
    {
        await _hub.DisposeAsync();
        Assert.Equal(2, await PullAsync());
        AssertOneSentence("can't be reached");
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task The_token_goes_to_the_hub_only()
    {
        await using var store = await FileHub.StartAsync(_hub.Content);
        _hub.Location = new Uri(store.Address, "/store/tiny").ToString();
        _terminal.Variables["HF_TOKEN"] = "secret";
        AssertPulled(await PullAsync());
        Assert.Equal([$"{FileHub.FilePath}  Bearer secret"], _hub.Requests);
        Assert.Equal(["/store/tiny"], store.Requests);
        Assert.DoesNotContain("secret", _terminal.Output + _terminal.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ctrl_C_keeps_the_part()
    {
        (_hub.CutAfter, _hub.StallsAtCut) = (1_000_000, true);
        var pull = PullAsync();
        await _hub.Stalled.Task;
        _terminal.PressCtrlC();
        Assert.Equal(130, await pull);
        Assert.False(File.Exists(Target));

        (_hub.CutAfter, _hub.StallsAtCut) = (null, false);
        AssertPulled(await PullAsync());
        Assert.Equal(_hub.Content, await File.ReadAllBytesAsync(Target));
    }

    [Fact]
    public async Task Two_pulls_of_one_file_do_not_mix()
    {
        await using var other = new FileStream(Part, FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        Assert.Equal(2, await PullAsync());
        AssertOneSentence("is in use");
    }

    private Task<int> PullAsync(string name = "owner/repo/tiny.gguf") => _terminal.RunAsync("pull", name, "--models", _folder);

    private void AssertPulled(int exitCode) => Assert.True(exitCode == 0, _terminal.Error);

    private void AssertOneSentence(string part)
    {
        var line = Assert.Single(_terminal.Error.Split('\n'), line => line.StartsWith("sluice: ", StringComparison.Ordinal));
        Assert.Contains(part, line, StringComparison.Ordinal);
        Assert.Matches("[.?]\r?$", line);
        Assert.DoesNotContain("   at ", _terminal.Error, StringComparison.Ordinal);
    }
}
