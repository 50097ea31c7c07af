using Sluice.Inference.Sampling;
using Sluice.Inference.Transformer;
using Sluice.Tests.Inference.Transformer;

namespace Sluice.Tests.Inference.Truth;

/// <summary>What this engine thinks of llama.cpp's tokens at one position after the same past.</summary>
/// <param name="Case">The prompt.</param>
/// <param name="Index">0 is the first token after the prompt.</param>
/// <param name="Choice">The most likely token here.</param>
/// <param name="Gap">How much more likely that is here than llama.cpp's choice, in nats; 0 where both agree.</param>
/// <param name="Logprobs">Here, of the tokens that llama.cpp lists.</param>
internal sealed record ForcedPosition(TruthCase Case, int Index, int Choice, double Gap, double[] Logprobs)
{
    public bool Agrees => Choice == Case.Greedy[Index];

    /// <summary>Absolute differences of the log probabilities, with llama.cpp's own.</summary>
    public IEnumerable<(double Theirs, double Difference)> Differences =>
        Case.Top[Index].Zip(Logprobs, (theirs, ours) => (theirs.Logprob, Math.Abs(theirs.Logprob - ours)));

    /// <summary>Kullback-Leibler divergence of this engine's distribution from llama.cpp's, all unlisted tokens taken as one.</summary>
    public double Divergence
    {
        get
        {
            double sum = 0, restTheirs = 1, restOurs = 1;
            foreach (var ((_, theirs), ours) in Case.Top[Index].Zip(Logprobs))
            {
                sum += Math.Exp(theirs) * (theirs - ours);
                restTheirs -= Math.Exp(theirs);
                restOurs -= Math.Exp(ours);
            }

            // The listed numbers are rounded, so what is left may come out below nothing.
            const double Least = 1e-6;
            return sum + (Math.Max(restTheirs, Least) * Math.Log(Math.Max(restTheirs, Least) / Math.Max(restOurs, Least)));
        }
    }

    /// <summary>Reads llama.cpp's continuations of some prompts with a model.</summary>
    public static IReadOnlyList<ForcedPosition> Run(LanguageModel model, IReadOnlyList<TruthCase> cases, int positionCount = int.MaxValue)
    {
        var positions = new List<ForcedPosition>();
        TeacherForcing.Run(model, [.. cases.Select(c => (c.Tokens, c.Greedy.Take(positionCount).ToArray()))], (s, position, logits) =>
        {
            var sum = LogprobReader.LogSumExp(logits);
            var choice = Sampler.ArgMax(logits);
            var logprobs = new double[cases[s].Top[position].Length];
            for (var i = 0; i < logprobs.Length; i++)
            {
                logprobs[i] = logits[cases[s].Top[position][i].Token] - sum;
            }

            positions.Add(new ForcedPosition(cases[s], position, choice, logits[choice] - logits[cases[s].Greedy[position]], logprobs));
        });
        return positions;
    }
}
