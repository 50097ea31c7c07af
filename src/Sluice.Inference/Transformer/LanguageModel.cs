using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Sampling;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Transformer;

/// <summary>
/// What the scheduler drives: a model that turns a batch of tokens into logits. The engine's own is <see cref="TransformerModel"/>;
/// tests script one. Used by one thread at a time.
/// </summary>
internal abstract class LanguageModel : IDisposable
{
    public abstract ModelDescription Description { get; }

    public abstract Tokenizer Tokenizer { get; }

    /// <summary>The model's own template, or null when the file has none.</summary>
    public abstract ChatTemplate? ChatTemplate { get; }

    public abstract KvCache Cache { get; }

    /// <summary>Most tokens of one step.</summary>
    public abstract int StepTokenCapacity { get; }

    /// <summary>Most rows of logits of a step that has guesses among its tokens; 0 for a model that computes none.</summary>
    public virtual int DraftedRowCapacity => 0;

    /// <summary>Most rows of logits of prompt tokens that are scored in a step, beside one row for every sequence.</summary>
    public virtual int ScoredRowCapacity => TransformerLimits.ScoredRows;

    /// <summary>Multiplications for attending to one token as a share of all others of a token.</summary>
    public abstract double AttentionShare { get; }

    /// <summary>Computes a batch; see <see cref="TransformerForward.Run"/>.</summary>
    public abstract bool Forward(StepBatch batch, Func<bool>? isAbandoned);

    /// <summary>Logits of a row of the last batch, one per token of the vocabulary; the caller may overwrite them.</summary>
    public abstract Span<float> Logits(int row);

    public virtual void Dispose() => GC.SuppressFinalize(this);
}

/// <summary>Facts about a loaded model.</summary>
/// <param name="Name">The file's own name for it, or the file name.</param>
/// <param name="Architecture">As in the file.</param>
/// <param name="ContextLength">Most tokens of prompt and completion together.</param>
/// <param name="VocabularySize">Number of tokens.</param>
/// <param name="ParameterCount">Number of weights.</param>
/// <param name="FileBytes">Size of the file.</param>
/// <param name="MemoryBytes">Bytes of repacked weights and buffers, without the key/value cache.</param>
public sealed record ModelDescription(
    string Name, string Architecture, int ContextLength, int VocabularySize, long ParameterCount, long FileBytes, long MemoryBytes)
{
    /// <summary>The same for the same weights, vocabulary and template, and for no others. The default value is the name.</summary>
    public string Identity { get; init; } = Name;

    /// <summary>What its makers recommend. The default value is nothing.</summary>
    public SamplingDefaults Sampling { get; init; } = SamplingDefaults.None;
}
