using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;
using Sluice.Testing;

namespace Sluice.Tests.Inference.Generation;

/// <summary>
/// A model that only takes time, on a manual clock: so much for a step, for a token, and for a token attended to. It counts what it computes
/// and says the letter "a" for ever.
/// </summary>
internal sealed class WorkModel : LanguageModel
{
    public const int Letter = 'a';
    private const int Tokens = 259;

    private readonly List<float[]> _logits = [];
    private readonly Tokenizer _tokenizer;

    public WorkModel(Tokenizer tokenizer, long kvTokenCapacity = 16 * 8192)
    {
        _tokenizer = tokenizer;
        Cache = new KvCache(layerCount: 0, headCountKv: 1, keyLength: 16, kvTokenCapacity);
    }

    public ManualTimeProvider Clock { get; } = new();

    public double StepMilliseconds { get; init; }

    public double TokenMilliseconds { get; init; }

    public double ContextMilliseconds { get; init; }

    /// <summary>Called in each step, with its number from 1.</summary>
    public Action<int>? OnStep { get; set; }

    public int StepCount { get; private set; }

    public long ComputedTokenCount { get; private set; }

    public override ModelDescription Description { get; } = new("work", "work", 8192, Tokens, 0, 0, 0);

    public override Tokenizer Tokenizer => _tokenizer;

    public override ChatTemplate? ChatTemplate => null;

    public override KvCache Cache { get; }

    public override int StepTokenCapacity => TransformerLimits.StepTokensMax;

    public override double AttentionShare => 0.0003;

    public override bool Forward(StepBatch batch, Func<bool>? isAbandoned)
    {
        StepCount++;
        OnStep?.Invoke(StepCount);
        ComputedTokenCount += batch.TokenCount;
        double milliseconds = StepMilliseconds + (TokenMilliseconds * batch.TokenCount);
        foreach (StepRun run in batch.Runs)
        {
            for (int i = 0; i < run.Count; i++)
            {
                milliseconds += ContextMilliseconds * (run.Start + i);
            }
        }

        Clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
        while (_logits.Count < batch.LogitRowCount)
        {
            float[] row = new float[Tokens];
            Array.Fill(row, -20);
            row[Letter] = 0;
            _logits.Add(row);
        }

        return true;
    }

    public override Span<float> Logits(int row) => (float[])_logits[row].Clone();

    public override void Dispose()
    {
        Cache.Dispose();
        base.Dispose();
    }
}
