using Sluice.Inference.Transformer;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>Feeds a model tokens that were chosen elsewhere and shows what it would have chosen itself.</summary>
internal static class TeacherForcing
{
    /// <summary>Receives the logits of one position.</summary>
    /// <param name="sequence">Index of the sequence.</param>
    /// <param name="position">0 is the first token after the prompt.</param>
    /// <param name="logits">One per token of the vocabulary; valid during the call.</param>
    public delegate void Observer(int sequence, int position, ReadOnlySpan<float> logits);

    /// <summary>Runs all sequences, decoding them in one batch.</summary>
    /// <param name="model">The model; its cache is left as it was found.</param>
    /// <param name="sequences">Prompts and their continuations.</param>
    /// <param name="observe">Called once for each token of each continuation, before that token is fed.</param>
    public static void Run(LanguageModel model, IReadOnlyList<(int[] Prompt, int[] Continuation)> sequences, Observer observe)
    {
        var caches = sequences.Select(_ => new KvSequence()).ToArray();
        var tokens = sequences.Select(s => s.Prompt.Concat(s.Continuation).ToArray()).ToArray();
        var batch = new StepBatch();
        for (var s = 0; s < sequences.Count; s++)
        {
            Prefill(model, caches[s], tokens[s], sequences[s].Prompt.Length);
            observe(s, 0, model.Logits(0));
        }

        for (var position = 1; position < sequences.Max(s => s.Continuation.Length); position++)
        {
            batch.Clear();
            var members = Enumerable.Range(0, sequences.Count).Where(s => position < sequences[s].Continuation.Length).ToArray();
            foreach (var s in members)
            {
                model.Cache.TryGrow(caches[s], caches[s].Length + 1);
                batch.Add(caches[s], tokens[s], caches[s].Length, 1, wantsLogits: true);
            }

            model.Forward(batch, null);
            for (var row = 0; row < members.Length; row++)
            {
                caches[members[row]].Length++;
                observe(members[row], position, model.Logits(row));
            }
        }

        foreach (var cache in caches)
        {
            model.Cache.Release(cache);
        }
    }

    /// <summary>Computes a prompt in steps of at most <paramref name="stepTokens"/>; row 0 then holds its last token's logits.</summary>
    public static void Prefill(LanguageModel model, KvSequence cache, int[] tokens, int length, int stepTokens = int.MaxValue)
    {
        var batch = new StepBatch();
        stepTokens = Math.Min(stepTokens, model.StepTokenCapacity);
        while (cache.Length < length)
        {
            var count = Math.Min(stepTokens, length - cache.Length);
            model.Cache.TryGrow(cache, cache.Length + count);
            batch.Clear();
            batch.Add(cache, tokens, cache.Length, count, cache.Length + count == length);
            model.Forward(batch, null);
            cache.Length += count;
        }
    }
}
