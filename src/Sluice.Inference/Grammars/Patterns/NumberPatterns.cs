using System.Collections.Concurrent;
using System.Globalization;
using System.Numerics;

namespace Sluice.Inference.Grammars.Patterns;

/// <summary>
/// JSON numbers between bounds. Digits are limited so that every number fits the types that clients read it into: 18 of an integer, a
/// 64-bit one; 16 before and 16 after the point, and two of an exponent, of a double.
/// </summary>
internal static class NumberPatterns
{
    private const int DigitsMax = 16;
    private const int IntegerDigitsMax = 18;
    private static readonly PatternNode s_digit = PatternNode.Range('0', '9');
    private static readonly PatternNode s_anyFraction = Optional(Sequence(PatternNode.Text("."), new PatternRepeat(s_digit, 1, null)));

    private static readonly ConcurrentDictionary<int, PatternDfa> s_unbounded = new();

    /// <summary>Any number.</summary>
    public static PatternNode Number { get; } = PatternParser.ParseWhole("-?(0|[1-9][0-9]{0,15})(\\.[0-9]{1,16})?([eE][+\\-]?[0-9]{1,2})?");

    /// <summary>Any integer of 18 digits.</summary>
    public static PatternNode Integer { get; } = PatternParser.ParseWhole("0|-?[1-9][0-9]{0,17}");

    /// <summary>Numbers without an exponent, with up to so many digits after the point; without any, integers.</summary>
    public static PatternDfa Plain(int fractionDigits) => s_unbounded.GetOrAdd(fractionDigits, static digits => PatternDfa.Compile(
        digits == 0
            ? Integer
            : PatternParser.ParseWhole(FormattableString.Invariant($"-?(0|[1-9][0-9]{{0,15}})(\\.[0-9]{{1,{Math.Min(digits, DigitsMax)}}})?")),
        new PatternBudget())!);

    /// <summary>Numbers not below a bound, without an exponent.</summary>
    public static PatternNode AtLeast(Decimal bound, bool isExclusive) => bound.IsNegative
        ? Choice(Magnitudes.NotBelow(Decimal.Zero, isExclusive: false), Negative(Magnitudes.NotAbove(bound.Magnitude, isExclusive)))
        : Magnitudes.NotBelow(bound, isExclusive);

    /// <summary>Numbers not above a bound, without an exponent.</summary>
    public static PatternNode AtMost(Decimal bound, bool isExclusive)
    {
        PatternNode negatives = Negative(bound.IsNegative
            ? Magnitudes.NotBelow(bound.Magnitude, isExclusive)
            : Magnitudes.NotBelow(Decimal.Zero, isExclusive: true));
        return bound.IsNegative || (isExclusive && bound.IsZero) ? negatives : Choice(negatives, Magnitudes.NotAbove(bound, isExclusive));
    }

    /// <summary>Integers that a number divides.</summary>
    /// <param name="divisor">At least 1.</param>
    public static PatternDfa? MultiplesOf(int divisor)
    {
        // 0 is the start, 1 follows a sign, 2 is a lone zero; then the remainders.
        const int First = 3;
        return PatternDfa.Of(
            First + divisor,
            "-0123456789",
            (state, character) => (state, character) switch
            {
                (0, '-') => 1,
                (_, '-') => -1,
                (0, '0') => 2,
                (1, '0') or (2, _) => -1,
                (0 or 1, _) => First + ((character - '0') % divisor),
                _ => First + ((((state - First) * 10) + character - '0') % divisor),
            },
            static state => state is 2 or First);
    }

    private static PatternSequence Negative(PatternNode magnitude) => Sequence(PatternNode.Text("-"), magnitude);

    private static PatternSequence Sequence(params PatternNode[] parts) => new PatternSequence(parts);

    private static PatternChoice Choice(params PatternNode[] parts) => new PatternChoice(parts);

    private static PatternRepeat Optional(PatternNode part) => new PatternRepeat(part, 0, 1);

    private static PatternRepeat Digits(int count) => new PatternRepeat(s_digit, count, count);

    /// <summary>A decimal number as its digits.</summary>
    /// <param name="IsNegative">Below zero.</param>
    /// <param name="Whole">Digits before the point, without leading zeros; "0" for none.</param>
    /// <param name="Fraction">Digits after it, without trailing zeros.</param>
    internal readonly record struct Decimal(bool IsNegative, string Whole, string Fraction)
    {
        public static Decimal Zero { get; } = new(false, "0", "");

        public bool IsZero => Whole == "0" && Fraction.Length == 0;

        public Decimal Magnitude => this with { IsNegative = false };

        /// <summary>Reads a JSON number; null when it has more than 40 digits on a side.</summary>
        public static Decimal? Parse(string json)
        {
            const int SideMax = 40;
            int exponentAt = json.IndexOfAny(['e', 'E']);
            string mantissa = exponentAt < 0 ? json : json[..exponentAt];
            int exponent = 0;
            if (exponentAt >= 0
                && (!int.TryParse(json.AsSpan(exponentAt + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent)
                    || Math.Abs(exponent) > SideMax))
            {
                return null;
            }

            string unsigned = mantissa.TrimStart('-');
            int point = unsigned.IndexOf('.', StringComparison.Ordinal);
            string digits = unsigned.Replace(".", "", StringComparison.Ordinal);
            int wholeLength = (point < 0 ? unsigned.Length : point) + exponent;
            digits = wholeLength < 0 ? new string('0', -wholeLength) + digits : digits.PadRight(wholeLength, '0');
            wholeLength = Math.Max(0, wholeLength);
            string whole = digits[..wholeLength].TrimStart('0');
            string fraction = digits[wholeLength..].TrimEnd('0');
            if (whole.Length > SideMax || fraction.Length > SideMax)
            {
                return null;
            }

            var value = new Decimal(false, whole.Length == 0 ? "0" : whole, fraction);
            return value with { IsNegative = mantissa[0] == '-' && !value.IsZero };
        }

        /// <summary>The value, when it is an integer.</summary>
        public BigInteger? ToInteger() => Fraction.Length == 0 ? BigInteger.Parse(Whole, CultureInfo.InvariantCulture) * (IsNegative ? -1 : 1) : null;
    }

    /// <summary>Numbers without a sign, compared digit by digit.</summary>
    private static class Magnitudes
    {
        public static PatternChoice NotAbove(Decimal bound, bool isExclusive)
        {
            var forms = new List<PatternNode>();
            string whole = bound.Whole;
            if (whole.Length > 1)
            {
                forms.Add(Sequence(Whole(1, whole.Length - 1), s_anyFraction));
            }

            for (int i = 0; i < whole.Length; i++)
            {
                char least = i == 0 && whole.Length > 1 ? '1' : '0';
                if (whole[i] > least)
                {
                    forms.Add(Sequence(
                        PatternNode.Text(whole[..i]), PatternNode.Range(least, whole[i] - 1), Digits(whole.Length - i - 1), s_anyFraction));
                }
            }

            PatternNode? fraction = FractionNotAbove(bound.Fraction, isExclusive);
            if (fraction != null)
            {
                forms.Add(Sequence(PatternNode.Text(whole), fraction));
            }

            return new PatternChoice(forms);
        }

        public static PatternChoice NotBelow(Decimal bound, bool isExclusive)
        {
            string whole = bound.Whole;
            var forms = new List<PatternNode> { Sequence(Whole(whole.Length + 1, IntegerDigitsMax), s_anyFraction) };
            for (int i = 0; i < whole.Length; i++)
            {
                if (whole[i] < '9')
                {
                    forms.Add(Sequence(
                        PatternNode.Text(whole[..i]), PatternNode.Range(whole[i] + 1, '9'), Digits(whole.Length - i - 1), s_anyFraction));
                }
            }

            forms.Add(Sequence(PatternNode.Text(whole), FractionNotBelow(bound.Fraction, isExclusive)));
            return new PatternChoice(forms);
        }

        // Numbers of so many digits; a zero is one digit.
        private static PatternNode Whole(int min, int max)
        {
            if (max < min)
            {
                return new PatternChoice([]);
            }

            PatternNode nonZero = Sequence(PatternNode.Range('1', '9'), new PatternRepeat(s_digit, min - 1, max - 1));
            return min == 1 ? Choice(PatternNode.Text("0"), nonZero) : nonZero;
        }

        private static PatternChoice? FractionNotAbove(string bound, bool isExclusive)
        {
            var forms = new List<PatternNode>();
            for (int i = 0; i < bound.Length; i++)
            {
                if (bound[i] > '0')
                {
                    forms.Add(Sequence(
                        PatternNode.Text("." + bound[..i]), PatternNode.Range('0', bound[i] - 1), new PatternRepeat(s_digit, 0, null)));
                }

                if (i > 0)
                {
                    // A number that ends here is below, for the bound goes on with digits that aren't all zero.
                    forms.Add(PatternNode.Text("." + bound[..i]));
                }
            }

            if (bound.Length > 0)
            {
                forms.Add(PatternNode.Empty);
            }

            PatternNode zeros = new PatternRepeat(PatternNode.Text("0"), 0, null);
            if (!isExclusive)
            {
                forms.Add(bound.Length > 0
                    ? Sequence(PatternNode.Text("." + bound), zeros)
                    : Optional(Sequence(PatternNode.Text(".0"), zeros)));
            }

            return forms.Count == 0 ? null : new PatternChoice(forms);
        }

        private static PatternChoice FractionNotBelow(string bound, bool isExclusive)
        {
            var forms = new List<PatternNode>();
            PatternNode any = new PatternRepeat(s_digit, 0, null);
            for (int i = 0; i < bound.Length; i++)
            {
                if (bound[i] < '9')
                {
                    forms.Add(Sequence(PatternNode.Text("." + bound[..i]), PatternNode.Range(bound[i] + 1, '9'), any));
                }
            }

            PatternNode rest = isExclusive ? Sequence(new PatternRepeat(PatternNode.Text("0"), 0, null), PatternNode.Range('1', '9'), any) : any;
            forms.Add(bound.Length > 0
                ? Sequence(PatternNode.Text("." + bound), rest)
                : isExclusive ? Sequence(PatternNode.Text("."), rest) : s_anyFraction);
            return new PatternChoice(forms);
        }
    }
}
