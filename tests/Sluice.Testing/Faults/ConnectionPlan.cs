namespace Sluice.Testing.Faults;

/// <summary>What becomes of a connection.</summary>
public enum ConnectionFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>It is closed on both sides: FIN.</summary>
    Close,

    /// <summary>It is reset on both sides: RST.</summary>
    Reset,

    /// <summary>It stays open, and nothing comes through; the server's bytes are taken.</summary>
    BlackHole,

    /// <summary>It stays open, and the server's bytes are not even taken: a client that never reads.</summary>
    NeverReads,
}

/// <summary>What a <see cref="FaultProxy"/> does with one connection.</summary>
/// <param name="Fault">What happens.</param>
/// <param name="AfterBytes">Bytes of responses that the client gets before it, headers included.</param>
public sealed record ConnectionPlan(ConnectionFault Fault = ConnectionFault.None, int AfterBytes = 0)
{
    /// <summary>Instead, how long after the first bytes of a request: before an answer has begun.</summary>
    public TimeSpan? AfterRequest { get; init; }

    /// <summary>Most bytes that the client gets at a time.</summary>
    public int PieceBytes { get; init; } = int.MaxValue;

    /// <summary>Time between these pieces.</summary>
    public TimeSpan PieceInterval { get; init; }

    /// <summary>
    /// One in which every fault has its share, always the same for the same seed and connection. Most are cuts; some are slow, some in single bytes, a few are silent.
    /// </summary>
    /// <param name="seed">Of a run.</param>
    /// <param name="connection">Number of the connection.</param>
    /// <param name="bytesMax">The last byte of responses that a fault may come after.</param>
    public static ConnectionPlan Draw(int seed, int connection, int bytesMax)
    {
        var random = new Random(unchecked((seed * 1_000_003) + connection));
        var after = random.Next(bytesMax + 1);
        return random.Next(100) switch
        {
            < 50 => new ConnectionPlan(ConnectionFault.Close, after),
            < 75 => new ConnectionPlan(ConnectionFault.Reset, after),
            < 83 => new ConnectionPlan(ConnectionFault.Close) { AfterRequest = TimeSpan.FromMilliseconds(random.Next(10)) },
            < 91 => new ConnectionPlan(ConnectionFault.Close, after) { PieceBytes = 1 },
            < 96 => new ConnectionPlan(ConnectionFault.Reset, after / 4) { PieceBytes = 1, PieceInterval = TimeSpan.FromMilliseconds(1) },
            < 98 => new ConnectionPlan(ConnectionFault.BlackHole, after),
            _ => new ConnectionPlan(ConnectionFault.NeverReads, after),
        };
    }
}
