using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;
using Sluice.Testing;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>
/// A model that only takes time, on a manual clock: so much for a step, for a token, and for a token attended to. It counts what it computes
/// and says the letter "a" for ever, unless it is told what to say.
/// </summary>
internal sealed class WorkModel : LanguageModel
{
    public const int Letter = 'a';
    public const int VocabularySize = 259;

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

    /// <summary>What follows a token at a position.</summary>
    public Func<int, int, int> Says { get; init; } = static (_, _) => Letter;

    /// <summary>0, so that nothing is guessed, unless a test is about that.</summary>
    public int DraftedRows { get; init; }

    /// <summary>Called in each step, with its number from 1.</summary>
    public Action<int>? OnStep { get; set; }

    public int StepCount { get; private set; }

    /// <summary>Most rows of logits that a step had.</summary>
    public int LogitRowsMax { get; private set; }

    public long ComputedTokenCount { get; private set; }

    public override ModelDescription Description { get; } = new("work", "work", 8192, VocabularySize, 0, 0, 0);

    public override Tokenizer Tokenizer => _tokenizer;

    public override ChatTemplate? ChatTemplate => null;

    public override KvCache Cache { get; }

    public override int StepTokenCapacity => TransformerLimits.StepTokensMax;

    public override int DraftedRowCapacity => DraftedRows;

    public override double AttentionShare => 0.0003;

    public override bool Forward(StepBatch batch, Func<bool>? isAbandoned)
    {
        StepCount++;
        OnStep?.Invoke(StepCount);
        ComputedTokenCount += batch.TokenCount;
        LogitRowsMax = Math.Max(LogitRowsMax, batch.LogitRowCount);
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
            _logits.Add(new float[VocabularySize]);
        }

        foreach (StepRun run in batch.Runs)
        {
            for (int i = 0; i < run.LogitCount; i++)
            {
                int position = run.Start + run.Count - run.LogitCount + i;
                float[] row = _logits[run.FirstLogitRow + i];
                Array.Fill(row, -20);
                row[Says(run.TokenAt(position), position)] = 0;
            }
        }

        return true;
    }

    public override Span<float> Logits(int row) => _logits[row];

    public override void Dispose()
    {
        Cache.Dispose();
        base.Dispose();
    }
}
