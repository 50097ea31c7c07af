using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sluice.Inference.Grammars;
using Sluice.Inference.Grammars.Patterns;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Patterns against .NET's regular expressions, bounds of numbers against arithmetic.</summary>
public sealed class PatternTests
{
    [Fact]
    public void Random_patterns_accept_what_dotnet_accepts()
    {
        var random = new Random(11);
        for (int round = 0; round < 400; round++)
        {
            string pattern = (random.Next(2) == 0 ? "^" : "") + Pattern(random, 3) + (random.Next(2) == 0 ? "$" : "");
            var regex = new Regex(pattern.Replace("$", "\\z", StringComparison.Ordinal), RegexOptions.CultureInvariant);
            PatternDfa? compiled = PatternDfa.Compile(PatternParser.ParseContained(pattern), new PatternBudget());
            for (int i = 0; i < 60; i++)
            {
                string text = new([.. Enumerable.Range(0, random.Next(8)).Select(_ => "abc-\n0"[random.Next(6)])]);
                Assert.True(regex.IsMatch(text) == Accepts(compiled, text), $"{pattern} on {Regex.Escape(text)}");
            }
        }
    }

    [Fact]
    public void Numbers_between_random_bounds_are_those_between()
    {
        var random = new Random(12);
        for (int round = 0; round < 400; round++)
        {
            decimal low = Number(random);
            decimal high = low + Math.Abs(Number(random));
            bool isInteger = random.Next(2) == 0;
            bool excludesLow = random.Next(2) == 0;
            bool excludesHigh = random.Next(2) == 0;
            string schema = FormattableString.Invariant(
                $"{{\"type\":\"{(isInteger ? "integer" : "number")}\",\"{(excludesLow ? "exclusiveMinimum" : "minimum")}\":{low},\"{(excludesHigh ? "exclusiveMaximum" : "maximum")}\":{high}}}");
            Grammar? grammar = null;
            try
            {
                grammar = Grammar.FromJsonSchema(JsonElement.Parse(schema));
            }
            catch (GrammarException)
            {
                // Nothing is between: nothing may be found there either.
            }

            for (int i = 0; i < 60; i++)
            {
                decimal value = random.Next(4) switch { 0 => low, 1 => high, 2 => low + (Number(random) / 100), _ => Number(random) };
                value = isInteger ? Math.Round(value) : value;
                string text = value.ToString(CultureInfo.InvariantCulture);
                bool isInside = (excludesLow ? value > low : value >= low) && (excludesHigh ? value < high : value <= high);
                bool isSignedZero = value == 0 && text[0] == '-';
                if (!isSignedZero && !(isInteger && text.Contains('.', StringComparison.Ordinal)))
                {
                    Assert.True(isInside == (grammar?.Accepts(Encoding.UTF8.GetBytes(text)) == true), $"{schema}: {text}");
                }
            }
        }
    }

    private static bool Accepts(PatternDfa? pattern, string text)
    {
        int state = pattern == null ? -1 : 0;
        foreach (char character in text)
        {
            state = state < 0 ? -1 : pattern!.Step(state, character);
        }

        return state >= 0 && pattern!.IsAccepting(state);
    }

    private static string Pattern(Random random, int depth)
    {
        string[] atoms = ["a", "b", "c", ".", "[ab]", "[^a]", "[a-c0]", "\\d", "\\w", "\\s", "\\S", "-", "[\\]\\-b]", "\\x61", "\\u0062", "\\n"];
        string[] quantifiers = ["", "", "", "*", "+", "?", "{2}", "{1,2}", "{1,}", "*?", "+?"];
        if (depth == 0 || random.Next(3) == 0)
        {
            return atoms[random.Next(atoms.Length)] + quantifiers[random.Next(quantifiers.Length)];
        }

        string first = Pattern(random, depth - 1);
        string second = Pattern(random, depth - 1);
        return random.Next(4) switch
        {
            0 => $"({first}|{second})" + quantifiers[random.Next(quantifiers.Length)],
            1 => $"(?:{first}{second})" + quantifiers[random.Next(quantifiers.Length)],
            2 => $"(?<name{depth}{random.Next(1000)}>{first})" + second,
            _ => first + second,
        };
    }

    private static decimal Number(Random random)
    {
        int scale = random.Next(4);
        decimal value = random.Next(5) switch { 0 => random.Next(-9, 10), 1 => random.Next(-100_000, 100_000), _ => random.Next(-2000, 2000) };
        return value / (decimal)Math.Pow(10, scale);
    }
}
