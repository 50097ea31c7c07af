using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Xunit;

namespace Sluice.Tests.Server.Models;

public sealed class ModelCatalogTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("sluice-catalog-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private string Folder(string name, params string[] files)
    {
        var folder = Path.Combine(_root, name);
        Directory.CreateDirectory(folder);
        foreach (var file in files) File.WriteAllText(Path.Combine(folder, file), name);
        return folder;
    }

    [Theory]
    [InlineData("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct")]
    [InlineData("Llama-3.3-70B-Instruct-Q4_K_M.gguf", "llama-3.3-70b-instruct")]
    [InlineData("Qwen3-8B-UD-Q4_K_XL.gguf", "qwen3-8b")]
    [InlineData("mistral-7b.IQ4_XS.gguf", "mistral-7b")]
    [InlineData("tiny-f16.gguf", "tiny")]
    [InlineData("tiny.BF16.gguf", "tiny")]
    [InlineData("gpt-oss-20b-MXFP4.gguf", "gpt-oss-20b")]
    [InlineData("model-v1.5.gguf", "model-v1.5")]
    [InlineData("Q4_1.gguf", "q4_1")]
    [InlineData("phi-4.GGUF", "phi-4")]
    [InlineData("Qwen3-30B-A3B-Q4_K_M-00001-of-00003.gguf", "qwen3-30b-a3b")]
    public void Id_IsTheFileNameWithoutQuantisation(string file, string id) => Assert.Equal(id, ModelFileName.ToId(file));

    [Fact]
    public void Create_WithoutModels_TakesEveryFile_TheEarlierFolderFirst()
    {
        var first = Folder("first", "B.Q4_1.gguf", "notes.txt", "mmproj-B.gguf", "C-00002-of-00002.gguf");
        var second = Folder("second", "B.Q4_1.gguf", "A-Q8_0.gguf");
        var catalog = ModelCatalog.Create(new SluiceOptions(), [first, Path.Combine(_root, "missing"), second]);

        Assert.Equal(["a", "b"], catalog.Models.Select(model => model.Id));
        Assert.Equal(Path.Combine(first, "B.Q4_1.gguf"), ((LocalModel)catalog.Find("B")!).Path);
        Assert.Null(catalog.Find("mmproj-b"));
    }

    [Fact]
    public void B122_A_link_has_the_size_and_the_time_of_what_it_leads_to()
    {
        var folder = Folder("snapshots");
        var blob = Path.Combine(Folder("blobs"), "abc");
        File.WriteAllBytes(blob, new byte[12_345]);
        File.SetLastWriteTimeUtc(blob, new DateTime(2020, 1, 2, 0, 0, 0, DateTimeKind.Utc));
        File.CreateSymbolicLink(Path.Combine(_root, "between"), blob);
        File.CreateSymbolicLink(Path.Combine(folder, "a.gguf"), Path.Combine("..", "between"));
        File.CreateSymbolicLink(Path.Combine(folder, "circle.gguf"), "circle.gguf");
        var options = ConfigurationFile.Parse($"models: [{{id: m, gguf: '{folder}/a.gguf'}}]", "sluice.yaml", _ => null);
        foreach (var catalog in (ModelCatalog[])[ModelCatalog.Create(options, []), ModelCatalog.Create(new SluiceOptions(), [folder])])
        {
            var model = (LocalModel)catalog.Models[0];
            Assert.Equal((12_345, 2020), (model.FileBytes, model.Modified.Year));
            // Under its own name, so that another blob can take its place.
            Assert.Equal(Path.Combine(folder, "a.gguf"), model.Path);
        }
    }

    [Fact]
    public void Create_WithACollision_KeepsBothSuffixes()
    {
        var folder = Folder("models", "A.Q4_1.gguf", "A.Q8_0.gguf", "C.Q8_0.gguf");
        Assert.Equal(["a.q4_1", "a.q8_0", "c"], ModelCatalog.Create(new SluiceOptions(), [folder]).Models.Select(model => model.Id));
    }

    [Fact]
    public void Create_WithModels_ServesOnlyThose_UnderTheirIdsAndAliases()
    {
        var folder = Folder("models", "A.Q4_1.gguf", "B.gguf");
        var elsewhere = Path.Combine(Folder("elsewhere", "C.gguf"), "C.gguf");
        var catalog = ModelCatalog.Create(
            new SluiceOptions
            {
                Models = [new ModelOptions("mine", "A.Q4_1.gguf") { Aliases = ["Llama-3.3"] }, new ModelOptions("other", elsewhere)],
            },
            [folder]);

        Assert.Equal(Path.Combine(folder, "A.Q4_1.gguf"), ((LocalModel)catalog.Find("llama-3.3")!).Path);
        Assert.Same(catalog.Find("mine"), catalog.Find("Llama-3.3"));
        Assert.Equal(elsewhere, ((LocalModel)catalog.Find("other")!).Path);
        Assert.Null(catalog.Find("b"));
    }

    [Fact]
    public void Create_WithoutAFile_ResolvesAPathAgainstTheWorkingDirectory()
    {
        var path = Path.Combine(Folder("files", "X.gguf"), "X.gguf");
        var options = new SluiceOptions { Models = [new ModelOptions("x", Path.GetRelativePath(Environment.CurrentDirectory, path))] };
        Assert.Equal(path, ((LocalModel)ModelCatalog.Create(options, []).Find("x")!).Path);
    }

    [Fact]
    public void Create_ResolvesAPathAgainstTheConfigurationsFolder()
    {
        Folder("configuration/files", "X.gguf");
        var configuration = Path.Combine(_root, "configuration", "sluice.yaml");
        var options = new SluiceOptions { Models = [new ModelOptions("x", "files/X.gguf") { Position = new SourcePosition(configuration, 3, 11) }] };
        Assert.Equal(Path.Combine(_root, "configuration", "files", "X.gguf"), ((LocalModel)ModelCatalog.Create(options, []).Find("x")!).Path);
    }

    [Fact]
    public void Create_WithoutTheFile_SaysWhereItLooked()
    {
        var folder = Folder("models");
        var options = new SluiceOptions { Models = [new ModelOptions("x", "X.gguf") { Position = new SourcePosition(Path.Combine(_root, "s.yaml"), 3, 11) }] };
        var error = Assert.Throws<ConfigurationException>(() => ModelCatalog.Create(options, [folder]));
        Assert.Equal(
            $"{_root}/s.yaml:3:11: there is no file 'X.gguf' for the model 'x'; looked for {folder}/X.gguf and {_root}/X.gguf", error.Message);
    }

    [Fact]
    public void Folders_StandInOrder()
    {
        var program = Folder("repository/artifacts/bin");
        File.WriteAllText(Path.Combine(_root, "repository", "Sluice.slnx"), "");
        var environment = new Dictionary<string, string> { ["SLUICE_MODELS"] = "/from/variable", ["XDG_DATA_HOME"] = "/somewhere/data" };
        Assert.Equal(
            ["/start/given", "/from/variable", "/start/models", Path.Combine(_root, "repository", "models"), "/somewhere/data/sluice/models"],
            ModelFolders.Find("given", name => environment.GetValueOrDefault(name), "/start", program));
        Assert.Equal(["/start/models", "/somewhere/data/sluice/models"], ModelFolders.Find(
            null, name => name == "XDG_DATA_HOME" ? "/somewhere/data" : null, "/start", Path.Combine(_root, "elsewhere")));
    }

    [Fact]
    public void Folders_OfAnInstalledProgram_HaveTheOneBesideIt()
    {
        var beside = Folder("installed/models");
        Assert.Contains(beside, ModelFolders.Find(null, _ => null, "/start", Path.Combine(_root, "installed")));
    }
}
