namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Reads integers as Python's <c>int(text, base)</c> does.</summary>
internal static class IntegerText
{
    /// <summary>Blanks around, a sign, the prefix of the base (0x, 0o, 0b) and single underscores between digits are allowed.</summary>
    public static bool TryParse(string text, long numberBase, out long value)
    {
        value = 0;
        if (numberBase is not (0 or (>= 2 and <= 36))) return false;
        var digits = text.AsSpan().Trim();
        bool isNegative = digits.StartsWith("-");
        if (isNegative || digits.StartsWith("+")) digits = digits[1..];
        digits = SkipPrefix(digits, ref numberBase);
        if (digits.IsEmpty) return false;

        bool wasDigit = false;
        foreach (char c in digits)
        {
            if (c == '_' && wasDigit)
            {
                wasDigit = false;
                continue;
            }

            int digit = char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? char.ToLowerInvariant(c) - 'a' + 10 : 99;
            if (digit >= numberBase || value > (long.MaxValue - digit) / numberBase) return false;
            value = (value * numberBase) + digit;
            wasDigit = true;
        }

        if (isNegative) value = -value;
        return wasDigit;
    }

    private static ReadOnlySpan<char> SkipPrefix(ReadOnlySpan<char> digits, scoped ref long numberBase)
    {
        long prefixed = digits.Length > 2 && digits[0] == '0' ? digits[1] switch
        {
            'x' or 'X' => 16,
            'o' or 'O' => 8,
            'b' or 'B' => 2,
            _ => 0,
        } : 0;
        if (prefixed > 0 && numberBase is 0 or 16 or 8 or 2 && (numberBase == 0 || numberBase == prefixed))
        {
            numberBase = prefixed;
            return digits[2..];
        }

        if (numberBase == 0) numberBase = 10;
        return digits;
    }
}
