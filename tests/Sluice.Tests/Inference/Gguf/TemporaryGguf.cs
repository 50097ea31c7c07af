namespace Sluice.Tests.Inference.Gguf;

/// <summary>A file in the folder for temporary files that is gone with the test.</summary>
internal sealed class TemporaryGguf : IDisposable
{
    public TemporaryGguf(byte[] content)
    {
        File.WriteAllBytes(Path, content);
    }

    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"sluice-{Guid.NewGuid():N}.gguf");

    public void Write(ReadOnlySpan<byte> content) => File.WriteAllBytes(Path, content);

    public void Dispose() => File.Delete(Path);
}
