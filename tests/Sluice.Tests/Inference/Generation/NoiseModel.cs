using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Generation;
using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;

namespace Sluice.Tests.Inference.Generation;

/// <summary>
/// A model without sense over single bytes: the logits of a token depend on all before it, and on nothing else. What it writes has half
/// characters, and often <c>&lt;/think&gt;</c>.
/// </summary>
internal sealed class NoiseModel(int tokenCapacity, string? template = null, string identity = "noise") : LanguageModel
{
    private const int EndOfTurn = 257;
    private const string Nudge = "</think>";
    private readonly List<float[]> _logits = [];

    /// <summary>Called behind each step on the engine's thread.</summary>
    public Action? Computed { get; set; }

    public override ModelDescription Description { get; } = new("noise", "noise", 8192, TinyModel.VocabularySize, 0, 0, 0) { Identity = identity };

    public override Tokenizer Tokenizer => s_tokenizer.Value;

    public override ChatTemplate? ChatTemplate { get; } = template == null ? null : ChatTemplate.Parse(template);

    public override KvCache Cache { get; } = new(layerCount: 0, headCountKv: 1, keyLength: 16, tokenCapacity);

    public override int StepTokenCapacity => 256;

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
            if (run.LogitRow >= 0)
            {
                Compute(run);
            }
        }

        Computed?.Invoke();
        return true;
    }

    public override Span<float> Logits(int row) => _logits[row];

    public override void Dispose()
    {
        Cache.Dispose();
        base.Dispose();
    }

    private void Compute(StepRun run)
    {
        while (_logits.Count <= run.LogitRow)
        {
            _logits.Add(new float[TinyModel.VocabularySize]);
        }

        float[] logits = _logits[run.LogitRow];
        ulong digest = RollingDigest.Of(run.Tokens);
        var random = new Random((int)(digest ^ (digest >> 32)));
        for (int token = 0; token < logits.Length; token++)
        {
            logits[token] = (6 * random.NextSingle()) - 3;
        }

        logits[EndOfTurn] -= 1;
        int nudge = Nudge.IndexOf((char)run.Tokens[^1], StringComparison.Ordinal);
        logits['<'] += 2;
        if (nudge >= 0 && nudge + 1 < Nudge.Length)
        {
            logits[Nudge[nudge + 1]] += 8;
        }
    }
}
