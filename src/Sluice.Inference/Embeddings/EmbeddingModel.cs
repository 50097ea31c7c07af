using Sluice.Inference.Architectures;
using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;

namespace Sluice.Inference.Embeddings;

/// <summary>
/// A model that makes one vector of a text, or a score of a pair of texts. A text has the same vector whatever is computed beside it, on any
/// number of threads. Safe to call from any thread; one call at a time computes, and others wait.
/// </summary>
public sealed class EmbeddingModel : IDisposable
{
    // Tokens that are computed together at first; an encoder that gets a longer text takes room for as many.
    private const int StepTokens = 512;

    // Texts that are computed together.
    private const int RunsMax = 64;

    private readonly Lock _lock = new();
    private readonly ModelPlan _plan;
    private readonly TransformerWeights _weights;
    private readonly WorkerTeam _team;
    private readonly KvCache _cache;
    private readonly PooledHead _head;
    private readonly PairEncoder _pairs;
    private readonly StepBatch _batch = new();
    private TransformerForward _forward;
    private int _capacity;

    private EmbeddingModel(GgufFile file, ModelPlan plan, int threadCount)
    {
        _plan = plan;
        Tokenizer = Tokenizer.Load(file.Metadata);
        _pairs = new PairEncoder(file.Metadata, Tokenizer);
        _weights = new TransformerWeights(file, plan);
        _cache = new KvCache(plan.Layers.Select(TransformerModel.ShapeOf), (2L * plan.ContextLength) + (RunsMax * TransformerLimits.KvBlockTokens));
        _team = new WorkerTeam(threadCount);
        _head = new PooledHead(plan, _weights);
        _capacity = Math.Min(StepTokens, plan.ContextLength);
        _forward = new TransformerForward(plan, _weights, _cache, _team, _capacity, _capacity);
        Model = new ModelDescription(
            file.Metadata.FindString("general.name") ?? Path.GetFileNameWithoutExtension(file.Path),
            plan.Architecture,
            plan.ContextLength,
            Tokenizer.VocabularySize,
            file.Tensors.Values.Sum(static tensor => tensor.RowLength * tensor.RowCount),
            file.SizeBytes,
            _weights.MemoryBytes + _forward.SizeBytes)
        {
            Identity = ModelIdentity.Of(file.Path),
        };
    }

    /// <summary>Facts about the model. Its context is the most tokens of a text.</summary>
    public ModelDescription Model { get; }

    /// <summary>The model's tokenizer; safe to share.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Values of a vector; of a model that gives scores, its labels.</summary>
    public int Dimensions => _head.Outputs;

    /// <summary>Whether a text has scores, not a vector of its meaning.</summary>
    public bool IsReranker => _plan.Pooling == Pooling.Rank;

    /// <summary>Loads a model. Blocks while the weights are repacked.</summary>
    /// <param name="ggufPath">The file.</param>
    /// <param name="threadCount">Threads that compute, the caller's included; null is the number of processors.</param>
    /// <exception cref="GgufException">The file is broken or not supported, or its model writes text; the message is one sentence for the user.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InsufficientMemoryException">The weights do not fit into the memory that is free.</exception>
    public static EmbeddingModel Load(string ggufPath, int? threadCount = null)
    {
        // Everything is copied out of it.
        using GgufFile file = GgufFile.Open(ggufPath);
        ModelPlan plan = ArchitectureTable.Read(file);
        if (plan.WritesText)
        {
            throw new GgufException(
                $"{ggufPath}: key '{plan.Architecture}.pooling_type': expected the pooling of a model for embeddings, found a model that writes text.");
        }

        long bytes = TransformerWeights.EstimateBytes(file);
        if (bytes > MemoryBudget.FreeBytes())
        {
            throw new InsufficientMemoryException(
                $"{ggufPath}: the model needs about {bytes >> 20} MiB of memory, {MemoryBudget.FreeBytes() >> 20} MiB are free; use a smaller model or a stronger quantization.");
        }

        return new EmbeddingModel(file, plan, threadCount ?? Environment.ProcessorCount);
    }

    /// <summary>What a reranker reads of a query and a document; its first value is how well the two fit.</summary>
    public IReadOnlyList<int> EncodePair(string query, string document) => _pairs.Encode(query, document);

    /// <summary>Makes the vector of a text.</summary>
    /// <param name="tokens">All of it, with the special tokens that the model expects around it: 1 to <see cref="ModelDescription.ContextLength"/>.</param>
    /// <param name="normalize">Whether the vector is brought to length 1; scores never are.</param>
    /// <exception cref="ArgumentException">There are too few or too many tokens.</exception>
    /// <exception cref="ArithmeticException">The model gave something that is no number.</exception>
    public float[] Embed(IReadOnlyList<int> tokens, bool normalize = true) => Embed([tokens], normalize, CancellationToken.None)[0];

    /// <summary>Makes the vectors of several texts, in their order.</summary>
    /// <param name="inputs">Each as for one text.</param>
    /// <param name="normalize">Whether the vectors are brought to length 1; scores never are.</param>
    /// <param name="cancellation">Ends the work between two steps.</param>
    /// <exception cref="ArgumentException">There are too few or too many tokens.</exception>
    /// <exception cref="ArithmeticException">The model gave something that is no number.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public float[][] Embed(IReadOnlyList<IReadOnlyList<int>> inputs, bool normalize = true, CancellationToken cancellation = default)
    {
        for (int i = 0; i < inputs.Count; i++)
        {
            if (inputs[i].Count == 0 || inputs[i].Count > _plan.ContextLength)
            {
                throw new ArgumentException($"Expected 1 to {_plan.ContextLength} tokens, found {inputs[i].Count} in input {i}.", nameof(inputs));
            }
        }

        lock (_lock)
        {
            // Whoever waited for long may have left.
            cancellation.ThrowIfCancellationRequested();
            float[][] vectors = new float[inputs.Count][];
            for (int first = 0; first < inputs.Count;)
            {
                cancellation.ThrowIfCancellationRequested();
                first = _plan.IsCausal && inputs[first].Count > _capacity ? ReadInSteps(inputs, first, vectors) : ReadTogether(inputs, first, vectors);
            }

            for (int i = 0; i < vectors.Length; i++)
            {
                Finish(vectors[i], i, normalize && !IsReranker);
            }

            return vectors;
        }
    }

    /// <summary>Frees the model. Not while a call is running.</summary>
    public void Dispose()
    {
        _team.Dispose();
        _forward.Dispose();
        _cache.Dispose();
        _head.Dispose();
        _weights.Dispose();
    }

    // As many texts as there is room for; returns the first one that is left.
    private int ReadTogether(IReadOnlyList<IReadOnlyList<int>> inputs, int first, float[][] vectors)
    {
        if (inputs[first].Count > _capacity)
        {
            Grow(inputs[first].Count);
        }

        _batch.Clear();
        int end = first;
        for (; end < inputs.Count && end < first + RunsMax && _batch.TokenCount + inputs[end].Count <= _capacity; end++)
        {
            var sequence = new KvSequence();
            _cache.TryGrow(sequence, inputs[end].Count);
            _batch.Add(sequence, inputs[end], 0, inputs[end].Count, _head.ReadsLastRow ? 1 : inputs[end].Count);
        }

        _forward.Run(_batch, null);
        for (int i = first; i < end; i++)
        {
            _head.Add(_forward, _batch.Runs[i - first]);
            vectors[i] = _head.Take(inputs[i].Count);
        }

        Release();
        return end;
    }

    // A model that sees nothing later needs no room for all of a text.
    private int ReadInSteps(IReadOnlyList<IReadOnlyList<int>> inputs, int index, float[][] vectors)
    {
        IReadOnlyList<int> tokens = inputs[index];
        var sequence = new KvSequence();
        while (sequence.Length < tokens.Count)
        {
            int count = Math.Min(_capacity, tokens.Count - sequence.Length);
            _cache.TryGrow(sequence, sequence.Length + count);
            _batch.Clear();
            _batch.Add(sequence, tokens, sequence.Length, count, _head.ReadsLastRow ? 1 : count);
            _forward.Run(_batch, null);
            _head.Add(_forward, _batch.Runs[0]);
            sequence.Length += count;
        }

        vectors[index] = _head.Take(tokens.Count);

        Release();
        return index + 1;
    }

    private void Release()
    {
        foreach (StepRun run in _batch.Runs)
        {
            _cache.Release(run.Sequence);
        }
    }

    private void Grow(int tokenCount)
    {
        while (_capacity < tokenCount)
        {
            _capacity = Math.Min(2 * _capacity, _plan.ContextLength);
        }

        _forward.Dispose();
        _forward = new TransformerForward(_plan, _weights, _cache, _team, _capacity, _capacity);
    }

    private static void Finish(float[] vector, int index, bool normalize)
    {
        double squares = 0;
        foreach (float value in vector)
        {
            squares += (double)value * value;
        }

        if (!double.IsFinite(squares))
        {
            throw new ArithmeticException($"The model gave no numbers for input {index}; its file may be damaged.");
        }

        for (int i = 0; normalize && squares > 0 && i < vector.Length; i++)
        {
            vector[i] = (float)(vector[i] / Math.Sqrt(squares));
        }
    }
}
