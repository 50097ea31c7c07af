using Sluice.Server.Configuration;

namespace Sluice.Server.Metering;

/// <summary>
/// One window of the calendar: a function of the clock and the zone alone, so that no job resets anything and every recount agrees.
/// </summary>
/// <param name="Number">Grows by one from each window to the next; of one period and zone.</param>
/// <param name="Start">Its first moment.</param>
/// <param name="End">The first moment after it; <see cref="DateTimeOffset.MaxValue"/> for one without an end.</param>
internal readonly record struct BudgetWindow(long Number, DateTimeOffset Start, DateTimeOffset End)
{
    /// <summary>The window that a moment lies in.</summary>
    public static BudgetWindow At(DateTimeOffset now, BudgetPeriod per, TimeZoneInfo zone)
    {
        if (per == BudgetPeriod.Total) return new BudgetWindow(0, DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue);
        // Hours of the zone's clock: where it is set back one comes twice, and they would be one window of two hours.
        if (per == BudgetPeriod.Hour) return OfHour(now, zone);
        var day = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(now, zone).DateTime);
        return per switch
        {
            BudgetPeriod.Day => Between(day.DayNumber, day, day.AddDays(1), zone),
            BudgetPeriod.Week => OfWeek(day, zone),
            _ => OfMonth(day, zone),
        };
    }

    private static BudgetWindow OfHour(DateTimeOffset now, TimeZoneInfo zone)
    {
        // A zone may be half an hour off.
        var shift = zone.GetUtcOffset(now).Ticks % TimeSpan.TicksPerHour;
        var hour = Math.DivRem(now.UtcTicks + shift, TimeSpan.TicksPerHour).Quotient;
        var start = new DateTimeOffset(hour * TimeSpan.TicksPerHour - shift, TimeSpan.Zero);
        return new BudgetWindow(hour, start, start.AddHours(1));
    }

    private static BudgetWindow OfWeek(DateOnly day, TimeZoneInfo zone)
    {
        // Day 0 was a Monday.
        var monday = DateOnly.FromDayNumber(day.DayNumber - day.DayNumber % 7);
        return Between(day.DayNumber / 7, monday, monday.AddDays(7), zone);
    }

    private static BudgetWindow OfMonth(DateOnly day, TimeZoneInfo zone)
    {
        var first = new DateOnly(day.Year, day.Month, 1);
        return Between(day.Year * 12L + day.Month - 1, first, first.AddMonths(1), zone);
    }

    private static BudgetWindow Between(long number, DateOnly first, DateOnly next, TimeZoneInfo zone) =>
        new(number, MidnightOf(first, zone), MidnightOf(next, zone));

    // The first moment of the day: some zones have days whose midnight is left out, or comes twice.
    private static DateTimeOffset MidnightOf(DateOnly day, TimeZoneInfo zone)
    {
        var midnight = day.ToDateTime(TimeOnly.MinValue);
        while (zone.IsInvalidTime(midnight)) midnight = midnight.AddMinutes(15);
        var offset = zone.IsAmbiguousTime(midnight) ? zone.GetAmbiguousTimeOffsets(midnight).Max() : zone.GetUtcOffset(midnight);
        return new DateTimeOffset(midnight, offset).ToUniversalTime();
    }
}
