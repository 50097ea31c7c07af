using System.Globalization;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary>Which moments belong to one budget: the calendar itself is the judge.</summary>
public sealed class BudgetWindowTests
{
    private static readonly TimeZoneInfo s_berlin = TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin");

    private static DateTimeOffset At(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);

    [Theory]
    [InlineData(BudgetPeriod.Hour, "2026-11-30T15:08:41Z", "2026-11-30T15:00:00Z", "2026-11-30T16:00:00Z")]
    [InlineData(BudgetPeriod.Day, "2026-11-30T15:08:41Z", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z")]
    [InlineData(BudgetPeriod.Week, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z")]
    [InlineData(BudgetPeriod.Week, "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z")]
    [InlineData(BudgetPeriod.Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z")]
    [InlineData(BudgetPeriod.Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")]
    [InlineData(BudgetPeriod.Day, "2016-12-31T23:59:59.999Z", "2016-12-31T00:00:00Z", "2017-01-01T00:00:00Z")]
    public void A_window_is_that_of_the_calendar(BudgetPeriod per, string now, string start, string end)
    {
        var window = BudgetWindow.At(At(now), per, TimeZoneInfo.Utc);
        Assert.Equal((At(start), At(end)), (window.Start, window.End));
    }

    [Theory]
    [InlineData("2026-03-29T12:00:00+02:00", 23)]
    [InlineData("2026-10-25T12:00:00+01:00", 25)]
    [InlineData("2026-11-30T12:00:00+01:00", 24)]
    public void A_day_of_a_zone_is_as_long_as_its_clock_says(string now, int hours)
    {
        var window = BudgetWindow.At(At(now), BudgetPeriod.Day, s_berlin);
        Assert.Equal(hours, (window.End - window.Start).TotalHours);
    }

    [Theory]
    [InlineData("Europe/Berlin")]
    [InlineData("Asia/Kolkata")]
    [InlineData("America/Sao_Paulo")]
    [InlineData("Australia/Lord_Howe")]
    [InlineData("Africa/Cairo")]
    public void Windows_follow_each_other_without_a_gap_and_number_themselves(string name)
    {
        var zone = TimeZoneInfo.FindSystemTimeZoneById(name);
        foreach (var per in (BudgetPeriod[])[BudgetPeriod.Hour, BudgetPeriod.Day, BudgetPeriod.Week, BudgetPeriod.Month])
        {
            var before = BudgetWindow.At(At("2018-01-01T00:00:00Z"), per, zone);
            for (var i = 0; i < 2000; i++)
            {
                var next = BudgetWindow.At(before.End, per, zone);
                Assert.Equal((before.End, before.Number + 1), (next.Start, next.Number));
                Assert.Equal(before, BudgetWindow.At(before.End.AddTicks(-1), per, zone));
                Assert.Equal(before, BudgetWindow.At(before.Start, per, zone));
                before = next;
                if (per is BudgetPeriod.Month && i > 100) break;
            }
        }
    }

    [Fact]
    public void Total_is_one_window_without_an_end() =>
        Assert.Equal(DateTimeOffset.MaxValue, BudgetWindow.At(At("2026-11-30T00:00:00Z"), BudgetPeriod.Total, s_berlin).End);
}
