using Sluice.Inference.Architectures;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Sampling;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Transformer;

/// <summary>A model loaded from a GGUF file.</summary>
internal sealed class TransformerModel : LanguageModel
{
    private readonly TransformerWeights _weights;
    private readonly WorkerTeam _team;
    private readonly TransformerForward _forward;

    private TransformerModel(
        GgufFile file, ModelPlan plan, int threadCount, int slotCount, long kvTokenCapacity, int contextLength, long snapshotBytes, KvCacheType cacheType)
    {
        // The vocabulary is one thread's work, and weights are read in the meantime. A failure of both is the tokenizer's.
        Task<Tokenizer> tokenizer = Task.Run(() => Tokenizer.Load(file.Metadata));
        try
        {
            try
            {
                _weights = new TransformerWeights(file, plan);
            }
            finally
            {
                Tokenizer = tokenizer.GetAwaiter().GetResult();
            }

            ChatTemplate = ParseTemplate(file);
            if (_weights.VocabularySize < Tokenizer.VocabularySize)
            {
                throw new GgufException(
                    $"{file.Path}: tensor 'token_embd.weight': expected a row for each of {Tokenizer.VocabularySize} tokens, found {_weights.VocabularySize}.");
            }

            StateStore? states = plan.StateCount > 0 ? new StateStore(plan.StateCount, snapshotBytes) : null;
            Cache = new KvCache(plan.Layers.Select(ShapeOf), kvTokenCapacity, states, cacheType);
            _team = new WorkerTeam(threadCount);
            int rows = Math.Max(slotCount, TransformerLimits.DraftedRowsMin);

            // A wrong draft can't be taken out of a state.
            DraftedRowCapacity = states == null ? rows : 0;
            _forward = new TransformerForward(plan, _weights, Cache, _team, TransformerLimits.StepTokensMax, rows + ScoredRowCapacity);
        }
        catch
        {
            _team?.Dispose();
            _weights?.Dispose();
            throw;
        }

        AttentionShare = plan.AttentionProducts / plan.TokenProducts;
        Description = new ModelDescription(
            file.Metadata.FindString("general.name") ?? Path.GetFileNameWithoutExtension(file.Path),
            plan.Architecture,
            contextLength,
            Tokenizer.VocabularySize,
            file.Tensors.Values.Sum(tensor => tensor.RowLength * tensor.RowCount),
            file.SizeBytes,
            _weights.MemoryBytes + _forward.SizeBytes)
        {
            Identity = ModelIdentity.Of(file.Path, cacheType),
            Sampling = RecommendedSampling.Of(file.Metadata, file.Path),
        };
    }

    public override ModelDescription Description { get; }

    public override Tokenizer Tokenizer { get; }

    public override ChatTemplate? ChatTemplate { get; }

    public override KvCache Cache { get; }

    public override double AttentionShare { get; }

    public override int DraftedRowCapacity { get; }

    public override int StepTokenCapacity => TransformerLimits.StepTokensMax;

    /// <summary>Threads that compute a step.</summary>
    public int ThreadCount => _team.ThreadCount;

    /// <summary>Memory of the weights alone.</summary>
    public long WeightBytes => _weights.MemoryBytes;

    /// <summary>How often the threads have waited for each other; for work counts.</summary>
    public int BarrierCount => _team.BarrierCount;

    /// <summary>Loads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="threadCount">Threads that compute a step, the caller's included.</param>
    /// <param name="slotCount">Most sequences of one step.</param>
    /// <param name="kvTokenCapacity">Most tokens kept in the cache; null allows every slot a full context, within half of what is free
    /// beside the weights; where not even one full context fits, the model's context is that much shorter.</param>
    /// <param name="contextMax">Most tokens of prompt and answer together; null for those of the file.</param>
    /// <param name="cacheType">In what keys and values are kept.</param>
    /// <exception cref="GgufException">The file is broken or not supported.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InsufficientMemoryException">The weights do not fit into the memory that is free.</exception>
    public static TransformerModel Load(
        string path, int threadCount, int slotCount, long? kvTokenCapacity, int? contextMax = null, KvCacheType cacheType = KvCacheType.F16)
    {
        // Everything is copied out of it.
        using GgufFile file = GgufFile.Open(path);
        ModelPlan plan = ArchitectureTable.Read(file, contextMax);
        if (!plan.WritesText)
        {
            throw new GgufException(
                $"{path}: key 'general.architecture': expected a model that writes text, found one that makes vectors of it ('{plan.Architecture}'); use it for embeddings.");
        }

        long weights = TransformerWeights.EstimateBytes(file);
        long free = MemoryBudget.FreeBytes();
        long states = plan.StateCount * sizeof(float) * slotCount;
        long snapshots = plan.StateCount > 0 ? Math.Min(TransformerLimits.SnapshotBytes, free / 8) : 0;
        free -= states + snapshots;
        long tokenBytes = plan.Layers.Sum(layer => ShapeOf(layer).TokenBytes(cacheType));
        long affordable = kvTokenCapacity ?? (free - weights) / 2 / tokenBytes;
        int contextLength = kvTokenCapacity == null ? (int)Math.Min(plan.ContextLength, affordable) : plan.ContextLength;
        if (contextLength < Math.Min(plan.ContextLength, TransformerLimits.ContextLengthMin))
        {
            throw new InsufficientMemoryException(
                $"{path}: the model needs about {weights >> 20} MiB of memory and some for its context, {free >> 20} MiB are free; use a smaller model or a stronger quantization.");
        }

        long capacity = Math.Min((long)slotCount * plan.ContextLength, affordable);
        return new TransformerModel(file, plan, threadCount, slotCount, capacity, contextLength, snapshots, cacheType);
    }

    /// <summary>What a layer keeps of a token.</summary>
    public static KvShape ShapeOf(LayerPlan layer) =>
        layer.Attention is { SharesCacheOf: null } a ? new KvShape(a.HeadCountKv, a.KeyLength, a.ValueLength) : default;

    private static ChatTemplate? ParseTemplate(GgufFile file)
    {
        const string Key = "tokenizer.chat_template";
        try
        {
            return file.Metadata.FindString(Key) is { } source ? ChatTemplate.Parse(source) : null;
        }
        catch (ChatTemplateException error)
        {
            throw new GgufException($"{file.Path}: key '{Key}': expected a chat template, found one that can't be read: {error.Message}");
        }
    }

    public override bool Forward(StepBatch batch, Func<bool>? isAbandoned) => _forward.Run(batch, isAbandoned);

    // Files may pad the matrix beyond the vocabulary; those rows are no tokens.
    public override Span<float> Logits(int row) => _forward.Logits(row)[..Tokenizer.VocabularySize];

    public override void Dispose()
    {
        _team.Dispose();
        _forward.Dispose();
        Cache.Dispose();
        _weights.Dispose();
        base.Dispose();
    }
}
