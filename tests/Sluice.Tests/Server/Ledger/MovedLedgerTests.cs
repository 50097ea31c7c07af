using Sluice.Protocol.Answers;
using Sluice.Server.Ledger;
using Xunit;

namespace Sluice.Tests.Server.Ledger;

/// <summary>A ledger keeps of an answer that another hub has claimed what was settled by then, whatever it has.</summary>
public sealed class MovedLedgerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-moved-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // Of a random number of productions the mark knows some and the ledger others: a kill has taken rows, or rows came behind the claim.
    [Fact]
    public void Rows_are_brought_to_the_mark_from_both_sides_and_twice_is_once()
    {
        var random = new Random(11);
        for (var round = 0; round < 60; round++)
        {
            using var file = new LedgerFile(Path.Combine(_folder, $"{round}.db"));
            var own = file.GetLedgerId();
            var (before, marked, written, isOwn) = (random.Next(3), random.Next(4), random.Next(5), random.Next(4) > 0);
            var productions = Enumerable.Range(0, before + 5).Select(number => (Output: number + 3, Nano: 100L * (number + 1))).ToList();
            ChargeSum SumOf(int rows) => new()
            {
                Rows = rows,
                Revision = rows + 1,
                Usage = new AnswerUsage(rows > 0 ? 10 : 0, 0, productions.Take(rows).Sum(static one => one.Output)),
                ChargeNanoUsd = productions.Take(rows).Sum(static one => one.Nano),
                CostNanoUsd = productions.Take(rows).Sum(static one => one.Nano) * 2,
            };
            var charge = new AnswerCharge { Ledger = isOwn ? own : "another", Key = "k", Model = "m", AskedAt = 3_600_000, Before = SumOf(before), Settled = SumOf(before + marked) };
            charge = AnswerCharge.TryRead(charge.Write())!;
            var rows = Enumerable.Range(before, written).Select(number => new AttemptRow("a", number)
            {
                Began = 3_600_000,
                Ended = 2,
                Key = "k",
                Model = "m",
                Upstream = "u",
                Role = "answer",
                Usage = new AnswerUsage(number == 0 ? 10 : 0, 0, productions[number].Output),
                ChargedTokens = productions[number].Output + (number == 0 ? 10 : 0),
                ChargeNanoUsd = productions[number].Nano,
                CostNanoUsd = productions[number].Nano * 2,
            }).ToList();
            var isEnded = random.Next(2) == 0;
            if (written > 0 || random.Next(2) == 0)
            {
                file.Commit([new LedgerEntry(
                    new AnswerRow("a", 9) { Began = 3_600_000, Ended = isEnded ? 5 : null, EndedBy = isEnded ? "completed" : "", Key = "k", Model = "m", Door = "chat", PriceVersion = "1", ChargeNanoUsd = rows.Sum(static row => row.ChargeNanoUsd), CostNanoUsd = rows.Sum(static row => row.CostNanoUsd) },
                    rows)]);
            }

            var changes = file.Settle(new MovedAnswer("a", charge), own, now: 7);
            var want = isOwn ? charge.Settled.Usage.TotalTokens - charge.Before.Usage.TotalTokens : 0;
            var why = $"round {round}: {before} before, {marked} marked, {written} written, own: {isOwn}";
            Assert.True(want == file.Count("key", "k", 0, isMoney: false), why);
            Assert.True((isOwn ? charge.Settled.ChargeNanoUsd - charge.Before.ChargeNanoUsd : 0) == file.Count("key", "k", 0, isMoney: true), why);
            Assert.True((isOwn ? charge.Settled.CostNanoUsd - charge.Before.CostNanoUsd : 0) == file.Count(null, "", 0, isMoney: true), why);
            Assert.Equal(want - rows.Sum(static row => row.ChargedTokens), changes.Sum(static change => change.After.ChargedTokens - (change.Before?.ChargedTokens ?? 0)));
            Assert.True(file.FindDifference() is null, $"{why}: {file.FindDifference()}");
            Assert.Empty(file.ReadOpen());
            Assert.Equal(0, file.ReadUsage(0, long.MaxValue / 2, []).SingleOrDefault()?.Requests ?? 0);
            Assert.Empty(file.Settle(new MovedAnswer("a", charge), own, now: 8));
        }
    }
}
