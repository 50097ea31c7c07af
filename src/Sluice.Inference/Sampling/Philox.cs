namespace Sluice.Inference.Sampling;

/// <summary>
/// Philox 4x32-10, the counter-based generator of Salmon et al. 2011: a pure function of key and counter, so a draw depends on seed, choice and
/// position only and can be repeated at any time.
/// </summary>
internal static class Philox
{
    private const uint Multiplier0 = 0xD2511F53;
    private const uint Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9;
    private const uint Weyl1 = 0xBB67AE85;
    private const int Rounds = 10;

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    public static double NextDouble(ulong key, uint stream, ulong position)
    {
        (uint a, uint b, _, _) = Block(key, (uint)position, (uint)(position >> 32), stream, 0);
        return (((ulong)a << 21) ^ ((ulong)b >> 11)) * (1.0 / (1UL << 53));
    }

    /// <summary>The four words of one counter.</summary>
    public static (uint A, uint B, uint C, uint D) Block(ulong key, uint c0, uint c1, uint c2, uint c3)
    {
        uint k0 = (uint)key;
        uint k1 = (uint)(key >> 32);
        for (int i = 0; i < Rounds; i++)
        {
            ulong p0 = (ulong)Multiplier0 * c0;
            ulong p1 = (ulong)Multiplier1 * c2;
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            k0 += Weyl0;
            k1 += Weyl1;
        }

        return (c0, c1, c2, c3);
    }
}
