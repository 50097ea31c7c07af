using Sluice.Cli;
using Sluice.Cli.Pull;
using Xunit;

namespace Sluice.Tests.Cli;

public sealed class ModelSourceTests
{
    private static readonly Uri Hub = new("https://hub.example/");

    [Theory]
    [InlineData("o/r/f.gguf", "https://hub.example/o/r/resolve/main/f.gguf", "f.gguf")]
    [InlineData("o/r/sub/f.gguf", "https://hub.example/o/r/resolve/main/sub/f.gguf", "f.gguf")]
    [InlineData("hf.co/o/r/f.gguf", "https://hub.example/o/r/resolve/main/f.gguf", "f.gguf")]
    [InlineData("https://hf.co/o/r/f.gguf", "https://hub.example/o/r/resolve/main/f.gguf", "f.gguf")]
    [InlineData("https://huggingface.co/o/r/blob/v1/f.gguf", "https://hub.example/o/r/resolve/v1/f.gguf", "f.gguf")]
    [InlineData("https://huggingface.co/o/r/resolve/main/a/b.gguf?download=true", "https://hub.example/o/r/resolve/main/a/b.gguf", "b.gguf")]
    [InlineData("https://huggingface.co/o/r/resolve/main/a%20b.gguf", "https://hub.example/o/r/resolve/main/a%20b.gguf", "a b.gguf")]
    [InlineData("https://files.example/x/F.GGUF?sig=1", "https://files.example/x/F.GGUF?sig=1", "F.GGUF")]
    [InlineData("qwen3-0.6b", "https://hub.example/Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf", "Qwen3-0.6B-Q8_0.gguf")]
    [InlineData("Qwen3-0.6B", "https://hub.example/Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf", "Qwen3-0.6B-Q8_0.gguf")]
    public void A_name_becomes_an_address(string name, string url, string fileName)
    {
        var source = ModelSource.Parse(name, Hub);
        Assert.Equal(url, source.Url.AbsoluteUri);
        Assert.Equal(fileName, source.FileName);
        Assert.Null(source.Sha256);
    }

    [Theory]
    [InlineData("")]
    [InlineData("gpt-4")]
    [InlineData("owner/repo")]
    [InlineData("owner/repo/readme.md")]
    [InlineData("owner/repo/.gguf")]
    [InlineData("ftp://host/f.gguf")]
    [InlineData("file:///tmp/f.gguf")]
    [InlineData("https://files.example/")]
    [InlineData("https://files.example/..%2Fup.gguf")]
    [InlineData("https://huggingface.co/o/r/resolve/main/..%5Cup.gguf")]
    public void Anything_else_is_refused(string name) => Assert.Throws<CliException>(() => ModelSource.Parse(name, Hub));

    [Fact]
    public void The_carried_model_has_the_hash_that_stands_beside_it()
    {
        var source = ModelSource.Parse("smollm2-135m-instruct", Hub);
        Assert.Equal($"{source.Sha256}  {source.FileName}\n", Repository.RepositoryFiles.Read($"models/{source.FileName}.sha256"));
    }

    [Fact]
    public void Short_names_are_lower_case_and_different()
    {
        Assert.All(KnownModels.All, model => Assert.Equal(model.Name.ToLowerInvariant(), model.Name));
        Assert.Distinct(KnownModels.All.Select(model => model.Name));
    }
}
