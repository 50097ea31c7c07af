using System.Globalization;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>One choice of an upstream's answer, from its first frame on.</summary>
internal sealed class RelayedChoice
{
    /// <param name="answerId">Of the answer; the ids of calls without one are made of it.</param>
    /// <param name="index">Of the choice.</param>
    /// <param name="close">Writes what is missing of a call that ends.</param>
    public RelayedChoice(string answerId, int index, Action<int, RelayedCall, IEventOutput> close)
    {
        var prefix = string.Create(CultureInfo.InvariantCulture, $"call_{answerId.AsSpan(answerId.AsSpan().IndexOfAny('-', '_') + 1)}_{index}");
        Tools = new ToolCallNormalizer(prefix);
        Order = new ToolCallOrder(Tools, (call, output) => close(index, call, output));
    }

    public ToolCallNormalizer Tools { get; }

    public ToolCallOrder Order { get; }

    /// <summary>Whether its role has gone out.</summary>
    public bool HasRole { get; set; }

    /// <summary>Whether it has said anything.</summary>
    public bool HasContent { get; set; }

    /// <summary>The event of its finish reason, which waits for the end of the stream.</summary>
    public EventBuffer Finish { get; } = new();

    public bool IsFinished => Finish.Count > 0;
}
