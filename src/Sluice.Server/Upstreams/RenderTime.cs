namespace Sluice.Server.Upstreams;

/// <summary>A clock that stands still, for the dates that chat templates print: a prompt that is rendered again has to be the same.</summary>
internal sealed class RenderTime(DateTimeOffset moment) : TimeProvider
{
    /// <inheritdoc/>
    public override TimeZoneInfo LocalTimeZone { get; } = TimeZoneInfo.CreateCustomTimeZone("Then", moment.Offset, null, null);

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => moment.ToUniversalTime();
}
