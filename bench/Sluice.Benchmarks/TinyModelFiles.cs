using Sluice.Testing;

namespace Sluice.Benchmarks;

/// <summary>Writes the random models that <c>tests/reference/make_tiny_truth.py</c> asks llama.cpp about.</summary>
internal static class TinyModelFiles
{
    public static int Write(string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (var model in TinyModel.All)
        {
            File.WriteAllBytes(Path.Combine(folder, model.Name + ".gguf"), model.ToArray());
        }

        return 0;
    }
}
