using Sluice.Server.Configuration;
using Xunit;

namespace Sluice.Tests.Server.Configuration;

/// <summary>Values that stand elsewhere: in a file, or in another mapping.</summary>
public sealed class ConfigurationSourcesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-sources-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("sk-file", "sk-file")]
    [InlineData("sk-file\n", "sk-file")]
    [InlineData("sk-file\r\n", "sk-file")]
    [InlineData("\uFEFFsk-file", "sk-file")]
    public void A_secret_comes_from_a_file(string text, string key)
    {
        var file = Write(text);
        Assert.Equal(key, Parse($"api_keys: [\"${{file:{file}}}\"]").ApiKeys[0].Key);
        Assert.Equal($"x-{key}-y", Parse($"api_keys: [\"x-${{file:{file}}}-y\"]").ApiKeys[0].Key);
    }

    [Fact]
    public void A_file_that_is_not_there_can_have_a_default() =>
        Assert.Equal("sk-default", Parse($"api_keys: [\"${{file:{_folder}/none:-sk-default}}\"]").ApiKeys[0].Key);

    [Theory]
    [InlineData("${file:/nowhere/key}", "there is no file '/nowhere/key'; create it, or give a default with ${file:/nowhere/key:-default}")]
    [InlineData("${file:key}", "'key' is not an absolute path; expected one such as ${file:/run/secrets/key}")]
    [InlineData("${file:}", "'' is not an absolute path; expected one such as ${file:/run/secrets/key}")]
    public void A_file_that_can_not_be_read_is_named(string value, string error) =>
        Assert.Equal($"sluice.yaml:1:12: {error}", ErrorsOf($"api_keys: [\"{value}\"]"));

    [Fact]
    public void A_file_that_never_ends_is_not_read_to_its_end()
    {
        if (OperatingSystem.IsWindows()) return;
        Assert.Equal("sluice.yaml:1:12: the file '/dev/zero' is larger than 64 KiB, which no secret is", ErrorsOf("api_keys: [\"${file:/dev/zero}\"]"));
    }

    [Fact]
    public void What_a_file_says_is_in_no_error()
    {
        var message = ErrorsOf($"memory_budget: \"${{file:{Write("sk-secret")}}}\"");
        Assert.DoesNotContain("sk-secret", message, StringComparison.Ordinal);
        Assert.Contains("${file:", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_merge_adds_what_a_mapping_does_not_say_itself()
    {
        var models = Parse("""
            models:
              - &base
                id: a
                upstreams:
                  - &server {url: "http://one/v1", api_key: sk-1, weight: 2}
                  - {<<: *server, url: "http://two/v1"}
                timeouts: &times {connect: 1s, idle: 7s}
                retries: 0
              - {<<: *base, id: b, retries: 3}
              - id: c
                upstreams: [{<<: [{url: "http://three/v1"}, *server]}]
                timeouts:
                  <<: *times
                  idle: 9s
            """).Models!;
        Assert.Equal(("b", 3, 7.0), (models[1].Id, models[1].Route!.Retries, models[1].Route!.Timeouts.Idle.TotalSeconds));
        Assert.Equal(["http://one/v1", "http://two/v1"], models[1].Route!.Upstreams.Select(upstream => upstream.Url));
        Assert.Equal(("sk-1", 2.0), (models[0].Route!.Upstreams[1].ApiKey, models[0].Route!.Upstreams[1].Weight));
        Assert.Equal(("http://three/v1", "sk-1"), (models[2].Route!.Upstreams[0].Url, models[2].Route!.Upstreams[0].ApiKey));
        Assert.Equal((1.0, 9.0), (models[2].Route!.Timeouts.Connect.TotalSeconds, models[2].Route!.Timeouts.Idle.TotalSeconds));
    }

    [Theory]
    [InlineData("models:\n  - {id: a, gguf: a, <<: text}", "sluice.yaml:2:26: '<<' merges mappings only; expected an alias such as *base, or a list of them")]
    [InlineData("models:\n  - {id: a, gguf: a, <<: {modle: 1}}", "sluice.yaml:2:27: unknown key 'modle'; ")]
    public void A_merge_of_something_else_is_named(string yaml, string error) => Assert.StartsWith(error, ErrorsOf(yaml), StringComparison.Ordinal);

    [Theory]
    [InlineData("True", true)]
    [InlineData("YES", true)]
    [InlineData("False", false)]
    [InlineData("off", false)]
    public void Booleans_are_those_of_YAML(string text, bool value) =>
        Assert.Equal(value, Parse($"models:\n  - {{id: a, upstreams: [{{url: \"http://a/v1\"}}], rescue: {text}}}").Models![0].Route!.Rescue);

    private static SluiceOptions Parse(string yaml) => ConfigurationFile.Parse(yaml, "sluice.yaml", _ => null);

    private static string ErrorsOf(string yaml) => Assert.Throws<ConfigurationException>(() => Parse(yaml)).Message;

    private string Write(string text)
    {
        var file = Path.Combine(_folder, "secret");
        File.WriteAllText(file, text);
        return file;
    }
}
