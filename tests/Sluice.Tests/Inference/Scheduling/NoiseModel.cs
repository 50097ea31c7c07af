using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>
/// A model without sense over single bytes: the logits of a token depend on those before it, and on nothing else. What it writes has half
/// characters, and often <c>&lt;/think&gt;</c>.
/// </summary>
/// <param name="tokenCapacity">Of its cache.</param>
/// <param name="template">Null for the engine's own.</param>
/// <param name="identity">Tells it from others.</param>
/// <param name="memory">How many of the tokens before it a token's logits depend on: few make a model that repeats itself.</param>
internal sealed class NoiseModel(int tokenCapacity, string? template = null, string identity = "noise", int memory = int.MaxValue) : LanguageModel
{
    private const int EndOfTurn = 257;
    private const string Nudge = "</think>";
    private readonly List<float[]> _logits = [];

    /// <summary>Called behind each step on the engine's thread.</summary>
    public Action? Computed { get; set; }

    /// <summary>The sequences of the last step, guesses included, and how many of their tokens are none.</summary>
    public IReadOnlyList<(int[] Tokens, int KnownCount)> LastStep { get; private set; } = [];

    public override ModelDescription Description { get; } = new("noise", "noise", 8192, TinyModel.VocabularySize, 0, 0, 0) { Identity = identity };

    public override Tokenizer Tokenizer => s_tokenizer.Value;

    public override ChatTemplate? ChatTemplate { get; } = template == null ? null : ChatTemplate.Parse(template);

    public override KvCache Cache { get; } = new(layerCount: 0, headCountKv: 1, keyLength: 16, tokenCapacity);

    public override int StepTokenCapacity => 256;

    public override int DraftedRowCapacity => 16;

    public override double AttentionShare => 0;

    private static readonly Lazy<Tokenizer> s_tokenizer = new(static () =>
    {
        using var file = new TemporaryGguf(new TinyModel("noise").ToArray());
        using var gguf = GgufFile.Open(file.Path);
        return Tokenizer.Load(gguf.Metadata);
    });

    public override bool Forward(StepBatch batch, Func<bool>? isAbandoned)
    {
        foreach (StepRun run in batch.Runs)
        {
            for (int i = 0; i < run.LogitCount; i++)
            {
                Compute(run, run.Start + run.Count - run.LogitCount + i, run.FirstLogitRow + i);
            }
        }

        LastStep = [.. batch.Runs.Select(static run => (
            (int[])[.. Enumerable.Range(0, run.Start + run.Count).Select(run.TokenAt)], run.Start + run.Count - Math.Max(0, run.LogitCount - 1)))];
        Computed?.Invoke();
        return true;
    }

    public override Span<float> Logits(int row) => _logits[row];

    public override void Dispose()
    {
        Cache.Dispose();
        base.Dispose();
    }

    private void Compute(StepRun run, int position, int row)
    {
        while (_logits.Count <= row)
        {
            _logits.Add(new float[TinyModel.VocabularySize]);
        }

        float[] logits = _logits[row];
        int first = Math.Max(0, position - (memory - 1));
        ulong digest = RollingDigest.Of([.. Enumerable.Range(first, position - first + 1).Select(run.TokenAt)]);
        var random = new Random((int)(digest ^ (digest >> 32)));
        for (int token = 0; token < logits.Length; token++)
        {
            logits[token] = (6 * random.NextSingle()) - 3;
        }

        logits[EndOfTurn] -= 1;
        int nudge = Nudge.IndexOf((char)run.TokenAt(position), StringComparison.Ordinal);
        logits['<'] += 2;
        if (nudge >= 0 && nudge + 1 < Nudge.Length)
        {
            logits[Nudge[nudge + 1]] += 8;
        }
    }
}
