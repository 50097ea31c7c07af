using Sluice.Server.Telemetry;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Telemetry;

public sealed class RequestFiguresTests
{
    private readonly ManualTimeProvider _clock = new();

    [Fact]
    public void The_first_token_of_an_answer_that_waited_for_a_reader_has_no_time()
    {
        var record = new RequestFigures(_clock);
        record.Pause();
        _clock.Advance(TimeSpan.FromMinutes(5));
        record.Resume();
        _clock.Advance(TimeSpan.FromSeconds(1));
        record.AddContent();

        Assert.Null(record.TimeToFirstToken);
        Assert.Equal(TimeSpan.FromSeconds(1), record.Elapsed);
    }

    [Fact]
    public void Times_of_content_leave_suspensions_out()
    {
        var record = new RequestFigures(_clock);
        _clock.Advance(TimeSpan.FromSeconds(2));
        record.AddContent();
        _clock.Advance(TimeSpan.FromSeconds(3));
        record.AddContent();
        record.Pause();
        _clock.Advance(TimeSpan.FromMinutes(5));
        record.Resume();
        record.AddContent();

        Assert.Equal((TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3)), (record.TimeToFirstToken, record.ContentTime));
    }
}
