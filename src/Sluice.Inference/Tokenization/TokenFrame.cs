using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>Which tokens a text has around it that no chat template put there.</summary>
/// <param name="AddsBegin">The begin-of-sequence token before it.</param>
/// <param name="AddsEnd">The end-of-sequence token after it; with encoders the separator.</param>
internal readonly record struct TokenFrame(bool AddsBegin, bool AddsEnd)
{
    /// <summary>What a file says, and where it is silent what its family does.</summary>
    public static TokenFrame Read(GgufMetadata metadata, bool addsBegin, bool addsEnd) => new(
        metadata.GetBoolean("tokenizer.ggml.add_bos_token", addsBegin), metadata.GetBoolean("tokenizer.ggml.add_eos_token", addsEnd));
}
