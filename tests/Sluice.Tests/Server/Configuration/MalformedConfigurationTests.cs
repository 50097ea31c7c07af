using System.Text;
using Sluice.Server.Configuration;
using Xunit;

namespace Sluice.Tests.Server.Configuration;

/// <summary>Files that are no configuration: each is one sentence with its place, whatever is in them.</summary>
public sealed class MalformedConfigurationTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-malformed-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("")]
    [InlineData("\uFEFF")]
    [InlineData(" \n\t\n")]
    [InlineData("# only a comment\n")]
    [InlineData("---\n# nothing\n...\n")]
    [InlineData("~")]
    public void A_file_without_content_is_refused(string yaml) =>
        Assert.Equal("sluice.yaml:1:1: the file has no content; write {} for the defaults, or remove it", ErrorOf(yaml));

    [Theory]
    [InlineData("\0\0\0\0", "1:1")]
    [InlineData("models: []\n\0\0\0\0", "2:1")]
    [InlineData("listen: \0", "1:9")]
    public void A_NUL_is_not_the_end_of_the_file(string yaml, string place) =>
        Assert.Equal($"sluice.yaml:{place}: a NUL byte, which no text has; the file seems to be damaged", ErrorOf(yaml));

    [Fact]
    public void A_byte_order_mark_is_skipped() =>
        Assert.Equal([new ListenAddress("127.0.0.1", 1)], Parse("\uFEFFlisten: 127.0.0.1:1").Listen);

    [Theory]
    [InlineData("[", "]")]
    [InlineData("{a: ", "}")]
    [InlineData("{? ", " : b}")]
    [InlineData("- ", "")]
    [InlineData("? ", "")]
    [InlineData("!!map {a: &x ", "}")]
    public void Ten_thousand_levels_are_one_sentence(string open, string close)
    {
        foreach (var prefix in (string[])["", "models: "])
        {
            var error = ErrorOf(prefix + string.Concat(Enumerable.Repeat(open, 10_000)) + "x" + string.Concat(Enumerable.Repeat(close, 10_000)));
            Assert.Matches(@"^sluice\.yaml:\d+:\d+: [^\n]+$", error);
        }
    }

    [Fact]
    public void Ten_thousand_indented_levels_are_one_sentence()
    {
        var text = new StringBuilder();
        for (var i = 0; i < 10_000; i++) text.Append(' ', i).Append("a:\n");
        Assert.Equal("sluice.yaml:33:33: nested more than 32 levels deep, which no configuration is", ErrorOf(text.ToString()));
    }

    [Theory]
    [InlineData("models: &a [*a]")]
    [InlineData("&a models: *a")]
    [InlineData("models: &a {b: *a}")]
    [InlineData("&a ? *a\n: 1")]
    [InlineData("models: *nowhere")]
    public void Anchors_in_a_circle_are_one_sentence(string yaml) => Assert.Matches(@"^sluice\.yaml:\d+:\d+: [^\n]+$", ErrorOf(yaml));

    [Fact]
    public void Aliases_that_multiply_are_one_sentence()
    {
        var text = new StringBuilder("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 12; i++) text.Append($"b{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n");
        Assert.EndsWith(": has more than 100000 values, its aliases written out", ErrorOf(text.ToString()), StringComparison.Ordinal);
    }

    [Fact]
    public void An_alias_may_stand_for_a_list()
    {
        var options = Parse("""
            models:
              - {id: a, upstreams: &all [{url: "http://a/v1"}, {url: "http://b/v1"}]}
              - {id: b, upstreams: *all}
            """);
        Assert.Equal([2, 2], options.Models!.Select(model => model.Route!.Upstreams.Count));
    }

    [Fact]
    public void A_key_that_is_not_text_is_one_sentence() =>
        Assert.Equal("sluice.yaml:1:3: a key must be text", ErrorOf("? [a]\n: b"));

    [Theory]
    [InlineData("True", true)]
    [InlineData("TRUE", true)]
    [InlineData("yes", true)]
    [InlineData("On", true)]
    [InlineData("False", false)]
    [InlineData("FALSE", false)]
    [InlineData("No", false)]
    [InlineData("OFF", false)]
    public void A_boolean_is_written_as_YAML_writes_it(string word, bool expected) =>
        Assert.Equal(expected, Parse($"models: [{{id: a, rescue: {word}, upstreams: [{{url: 'http://a/v1'}}]}}]").Models![0].Route!.Rescue);

    [Fact]
    public void Null_is_written_as_YAML_writes_it()
    {
        foreach (var word in (string[])["", "~", "null", "Null", "NULL"]) Assert.Null(Parse($"models: {word}\nlisten: 127.0.0.1:1").Models);
    }

    [Fact]
    public void A_store_that_is_off_is_off_in_any_case() => Assert.Equal(StoreKind.Off, Parse("store: OFF").Store);

    [Fact]
    public void Whether_nobody_needs_a_key_is_written_out()
    {
        Assert.True(Parse("api_keys: []").AllowsEveryone);
        Assert.False(Parse("api_keys:").AllowsEveryone);
        Assert.False(Parse("listen: 127.0.0.1:1").AllowsEveryone);
        Assert.False(Parse("api_keys: [a]").AllowsEveryone);
    }

    [Fact]
    public void A_file_without_an_end_is_one_sentence()
    {
        if (!File.Exists("/dev/zero")) return;
        var link = Path.Combine(_folder, "sluice.yaml");
        File.CreateSymbolicLink(link, "/dev/zero");
        var error = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(link, _ => null));
        Assert.Equal($"{link}:1:1: larger than 4 MiB, which no configuration is", error.Message);
    }

    [Fact]
    public void Whatever_is_in_a_file_ends_in_sentences()
    {
        const string Alphabet = " \n\t:-?[]{}&*!|>'\"%@`#,abx0~<.=\\/\u0001\u00e9\ud800\ufeff";
        const string Sound = "listen: [http://0.0.0.0:8080]\nmodels:\n  - {id: a, gguf: 'b', aliases: &x [c]}\n  - id: d\n    upstreams: [{url: \"http://a/v1\", headers: {X: |\n  y}}]\n";
        var random = new Random(1);
        for (var i = 0; i < 20_000; i++)
        {
            var text = new StringBuilder(i % 2 == 0 ? Sound : "");
            for (var edits = random.Next(1, 30); edits > 0; edits--) text.Insert(random.Next(text.Length + 1), Alphabet[random.Next(Alphabet.Length)]);
            try
            {
                Parse(text.ToString());
            }
            catch (ConfigurationException exception)
            {
                Assert.All(exception.Message.ReplaceLineEndings("\n").Split('\n'), line => Assert.Matches(@"^sluice\.yaml:\d+:\d+: .", line));
            }
        }
    }

    private static SluiceOptions Parse(string yaml) => ConfigurationFile.Parse(yaml, "sluice.yaml", _ => null);

    private static string ErrorOf(string yaml) => Assert.Throws<ConfigurationException>(() => Parse(yaml)).Message.ReplaceLineEndings("\n");
}
