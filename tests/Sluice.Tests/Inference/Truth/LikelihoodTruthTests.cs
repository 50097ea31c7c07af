using Sluice.Inference.Sampling;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Truth;

[Collection(ShippedModelTests.Name)]
public sealed class LikelihoodTruthTests(ShippedModel shipped, ITestOutputHelper output)
{
    [Fact]
    public void Measure()
    {
        var cases = TruthCase.All;
        var all = new List<double>();
        var likely = new List<double>();
        var kls = new List<double>();
        var worstGap = 0.0;
        int agree = 0, total = 0;
        TeacherForcing.Run(shipped.Model, [.. cases.Select(c => (c.Tokens, c.Greedy))], (s, p, logits) =>
        {
            var sum = LogprobReader.LogSumExp(logits);
            var best = Sampler.ArgMax(logits);
            var reference = cases[s].Greedy[p];
            total++;
            agree += best == reference ? 1 : 0;
            if (best != reference)
            {
                output.WriteLine($"{cases[s].Name} {p}: gap here {logits[best] - logits[reference]:F4}, gap there {cases[s].Gap(p):F4}, their second is ours {cases[s].Top[p][1].Token == best}");
                worstGap = Math.Max(worstGap, logits[best] - logits[reference]);
            }

            double kl = 0, restTheirs = 1, restOurs = 1;
            foreach (var (token, theirs) in cases[s].Top[p])
            {
                var ours = logits[token] - sum;
                all.Add(Math.Abs(ours - theirs));
                if (theirs > -2.3)
                {
                    likely.Add(Math.Abs(ours - theirs));
                    if (Math.Abs(ours - theirs) > 0.2) output.WriteLine($"{cases[s].Name} {p}: ours {ours} theirs {theirs}");
                }

                kl += Math.Exp(theirs) * (theirs - ours);
                restTheirs -= Math.Exp(theirs);
                restOurs -= Math.Exp(ours);
            }

            kl += restTheirs * Math.Log(Math.Max(1e-9, restTheirs) / Math.Max(1e-9, restOurs));
            kls.Add(kl);
        });
        output.WriteLine($"agree {agree}/{total}, worst gap {worstGap}");
        output.WriteLine($"all mean {all.Average()} max {all.Max()}; likely mean {likely.Average()} max {likely.Max()}; kl mean {kls.Average()} max {kls.Max()}");
        var sorted = all.Order().ToList();
        output.WriteLine($"p50 {sorted[sorted.Count/2]} p99 {sorted[sorted.Count*99/100]}");
    }
}
