using System.Text.RegularExpressions;
using Sluice.Inference.Gguf;

namespace Sluice.Server.Models;

/// <summary>How a model's id comes from its file name.</summary>
internal static partial class ModelFileName
{
    /// <summary>File name without <c>.gguf</c> and quantisation suffix, lower case: <c>SmolLM2-135M-Instruct.Q4_1.gguf</c> is <c>smollm2-135m-instruct</c>.</summary>
    public static string ToId(string fileName)
    {
        var name = ToLongId(fileName);
        var suffix = Quantisation().Match(name);
        return suffix is { Success: true, Index: > 0 } ? name[..suffix.Index] : name;
    }

    /// <summary>The id that keeps the quantisation suffix, for files that differ in nothing else.</summary>
    public static string ToLongId(string fileName) => Shard().Replace(Path.GetFileNameWithoutExtension(fileName), "").ToLowerInvariant();

    /// <summary>The same file name with another quantisation suffix: <c>SmolLM2-135M-Instruct.Q8_0.gguf</c>.</summary>
    public static string WithQuantisation(string fileName, string suffix)
    {
        var name = Shard().Replace(fileName.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? fileName[..^".gguf".Length] : fileName, "");
        var old = Quantisation().Match(name.ToLowerInvariant());
        return old is { Success: true, Index: > 0 } ? $"{name[..(old.Index + 1)]}{suffix}.gguf" : $"{name}.{suffix}.gguf";
    }

    /// <summary>Whether the file can be a model of its own: projectors of vision models and later parts of large ones are GGUF files too.</summary>
    public static bool IsModel(string fileName) =>
        fileName.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && !fileName.StartsWith("mmproj", StringComparison.OrdinalIgnoreCase)
            && !GgufShardNames.IsLaterShard(fileName);

    // The names that quantisation tools give: q4_1, q4_k_m, q8_0, ud-q4_k_xl, iq4_xs, tq1_0, mxfp4, f16, fp16, bf16, f32.
    [GeneratedRegex(@"[-._](ud-)?(i?q[1-8](_[0-9a-z]+){1,2}|tq[12]_0|mxfp4(_moe)?|[bf]?f16|f32|fp16|fp32)$", RegexOptions.CultureInvariant)]
    private static partial Regex Quantisation();

    // The first of several files: model-q4_k_m-00001-of-00003.
    [GeneratedRegex(@"-00001-of-[0-9]{5}$", RegexOptions.CultureInvariant)]
    private static partial Regex Shard();
}
