using Sluice.Testing;

namespace Sluice.Benchmarks;

/// <summary>
/// Writes the random models that <c>tests/reference/make_tiny_truth.py</c> asks llama.cpp about, and in a subfolder <c>architectures</c> those
/// of <c>make_architecture_truth.py</c>.
/// </summary>
internal static class TinyModelFiles
{
    public static int Write(string folder)
    {
        var architectures = Directory.CreateDirectory(Path.Combine(folder, "architectures")).FullName;
        foreach (var model in TinyModel.All)
        {
            File.WriteAllBytes(Path.Combine(folder, model.Name + ".gguf"), model.ToArray());
        }

        foreach (var model in TinyArchitectures.All)
        {
            File.WriteAllBytes(Path.Combine(architectures, model.Name + ".gguf"), model.ToArray());
        }

        return 0;
    }
}
