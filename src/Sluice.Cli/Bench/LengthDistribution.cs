using System.Globalization;

namespace Sluice.Cli.Bench;

/// <summary>How long something is, in tokens: always the same, evenly between two bounds, or around a mean. Draws are at least 1.</summary>
internal sealed class LengthDistribution
{
    private const int TokensMax = 10_000_000;
    private readonly double _low;
    private readonly double _high;
    private readonly bool _isNormal;

    private LengthDistribution(string text, double low, double high, bool isNormal) => (Text, _low, _high, _isNormal) = (text, low, high, isNormal);

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>Reads <c>128</c>, <c>64..256</c> (evenly, both ends included) or <c>128~32</c> (normal: mean and standard deviation).</summary>
    /// <returns>Null when it is none of these.</returns>
    public static LengthDistribution? Parse(string text)
    {
        if (TryRead(text, out var fixedLength)) return new LengthDistribution(text, fixedLength, fixedLength, isNormal: false);
        var dots = text.IndexOf("..", StringComparison.Ordinal);
        if (dots > 0 && TryRead(text[..dots], out var low) && TryRead(text[(dots + 2)..], out var high) && low <= high)
            return new LengthDistribution(text, low, high, isNormal: false);
        var tilde = text.IndexOf('~', StringComparison.Ordinal);
        return tilde > 0 && TryRead(text[..tilde], out var mean) && TryRead(text[(tilde + 1)..], out var deviation)
            ? new LengthDistribution(text, mean, deviation, isNormal: true)
            : null;
    }

    /// <summary>One length, with one or two numbers of the generator.</summary>
    public int Draw(Random random)
    {
        if (!_isNormal) return (int)_low + random.Next((int)(_high - _low) + 1);
        // Box and Muller: two uniform numbers make a normal one.
        var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return (int)Math.Clamp(Math.Round(_low + (normal * _high)), 1, TokensMax);
    }

    private static bool TryRead(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number is >= 1 and <= TokensMax;
}
