using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;

namespace Sluice.Testing.Scripting;

/// <summary>
/// A model without weights: the last message names a script, and its tokens get all the probability. A message that names none is repeated.
/// Everything around it, from the batch to the socket, is real.
/// </summary>
internal sealed class ScriptedModel(string? template = null) : LanguageModel
{
    public const int ContextLength = 8192;
    private const int TokensPerStepMax = 4096;
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(2);

    private readonly ConditionalWeakTable<KvSequence, StrongBox<(Script Script, int AnswerStart)>> _scripts = [];
    private readonly List<float[]> _logits = [];
    private long _computedTokenCount;

    public ConcurrentDictionary<string, Script> Scripts { get; } = [];

    /// <summary>Tokens computed since the start, of prompts and answers.</summary>
    public long ComputedTokenCount => Volatile.Read(ref _computedTokenCount);

    public override ModelDescription Description { get; } = new("scripted", "scripted", ContextLength, Vocabulary.VocabularySize, 0, 0, 0);

    public override Tokenizer Tokenizer => Vocabulary;

    // Null is the engine's own, ChatML.
    public override ChatTemplate? ChatTemplate { get; } = template is null ? null : ChatTemplate.Parse(template);

    public override KvCache Cache { get; } = new(layerCount: 0, headCountKv: 1, keyLength: 16, tokenCapacity: 64 * ContextLength);

    public override double AttentionShare => 0;

    public override int StepTokenCapacity => TokensPerStepMax;

    private static Tokenizer Vocabulary { get; } = ScriptedVocabulary.CreateTokenizer();

    public override bool Forward(StepBatch batch, Func<bool>? isAbandoned)
    {
        foreach (var run in batch.Runs)
        {
            if (run.LogitCount > 0 && !TryCompute(run, isAbandoned)) return false;
        }

        Interlocked.Add(ref _computedTokenCount, batch.TokenCount);
        return true;
    }

    public override Span<float> Logits(int row) => _logits[row];

    public override void Dispose()
    {
        Cache.Dispose();
        base.Dispose();
    }

    private bool TryCompute(StepRun run, Func<bool>? isAbandoned)
    {
        // Each token of a prompt that is scored was certain.
        for (var row = 0; row < run.LogitCount; row++)
        {
            while (_logits.Count <= run.FirstLogitRow + row) _logits.Add(new float[Vocabulary.VocabularySize]);
            Array.Fill(_logits[run.FirstLogitRow + row], float.NegativeInfinity);
            var next = run.Start + run.Count - run.LogitCount + row + 1;
            if (next < run.Tokens.Count) _logits[run.FirstLogitRow + row][run.Tokens[next]] = 0;
        }

        if (run.Start + run.Count < run.Tokens.Count) return true;
        var logits = _logits[run.FirstLogitRow + run.LogitCount - 1];
        if (!_scripts.TryGetValue(run.Sequence, out var found)) _scripts.Add(run.Sequence, found = new(FindScript(run.Tokens)));
        var (script, answerStart) = found.Value;
        if (script.At(run.Tokens.Count - answerStart) is not { } step)
        {
            logits[ScriptedVocabulary.TurnEnd] = 0;
            return true;
        }

        if (step.Gate is { } gate && !Pass(gate, isAbandoned)) return false;
        if (step.Delay > TimeSpan.Zero && !Pass(step.Delay, isAbandoned)) return false;
        if (step.Throws) throw new InvalidOperationException("The script says so.");
        foreach (var (token, probability) in step.Tokens) logits[token] = MathF.Log(probability);
        return true;
    }

    private static bool Pass(Gate gate, Func<bool>? isAbandoned)
    {
        gate.Reach();
        return WaitUntil(() => gate.IsOpen, isAbandoned);
    }

    private static bool Pass(TimeSpan delay, Func<bool>? isAbandoned)
    {
        var start = TimeProvider.System.GetTimestamp();
        return WaitUntil(() => TimeProvider.System.GetElapsedTime(start) >= delay, isAbandoned);
    }

    // The engine's thread asks, as a real model does between its layers, whether anybody still wants what it computes.
    private static bool WaitUntil(Func<bool> condition, Func<bool>? isAbandoned)
    {
        while (!condition())
        {
            if (isAbandoned?.Invoke() == true) return false;
            Thread.Sleep(s_look);
        }

        return true;
    }

    // <|im_start|>user\nTEXT<|im_end|>\n<|im_start|>assistant\n
    private (Script Script, int AnswerStart) FindScript(IReadOnlyList<int> tokens)
    {
        if (!tokens.Contains(ScriptedVocabulary.TurnStart)) return FindRawScript(tokens);
        var answer = LastIndex(tokens, ScriptedVocabulary.TurnStart, tokens.Count);
        var end = LastIndex(tokens, ScriptedVocabulary.TurnEnd, answer);
        var start = LastIndex(tokens, ScriptedVocabulary.TurnStart, end);
        var turn = Encoding.UTF8.GetString([.. tokens.Skip(start + 1).Take(end - start - 1).SelectMany(token => Vocabulary.GetBytes(token).ToArray())]);
        var text = turn[(turn.IndexOf('\n', StringComparison.Ordinal) + 1)..];
        return (Scripts.TryGetValue(text, out var script) ? script : new Script().Say(text), answer + 1 + "assistant\n".Length);
    }

    // A prompt without a template is the name of its script, and so the beginning of what is there when the answer is continued.
    private (Script Script, int AnswerStart) FindRawScript(IReadOnlyList<int> tokens)
    {
        var bytes = new List<byte>();
        var longest = (new Script(), tokens.Count);
        for (var i = 0; i < tokens.Count; i++)
        {
            bytes.AddRange(Vocabulary.GetBytes(tokens[i]).Span);
            if (Scripts.TryGetValue(Encoding.UTF8.GetString([.. bytes]), out var script)) longest = (script, i + 1);
        }

        return longest;
    }

    private static int LastIndex(IReadOnlyList<int> tokens, int token, int before)
    {
        var index = before - 1;
        while (tokens[index] != token) index--;
        return index;
    }
}
