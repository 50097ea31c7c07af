using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Server.Ledger;

/// <summary>
/// The form of a key that the hub makes: <c>sk-sl-</c>, 10 characters that name it, a hyphen, 43 that are its secret, and 6 that show a slip
/// of the pen. Random 256 bits need no slow hash.
/// </summary>
internal static class IssuedKey
{
    private const string Prefix = "sk-sl-";
    private const string NameDigits = "0123456789abcdefghjkmnpqrstvwxyz";
    private const string CheckDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const string IdPrefix = "key_";
    private const int NameLength = 10;
    private const int SecretBytes = 32;
    private const int SecretLength = 43;
    private const int CheckLength = 6;
    private const int Length = 6 + NameLength + 1 + SecretLength + CheckLength;

    /// <summary>The id of a new key.</summary>
    public static string CreateId() => IdPrefix + RandomNumberGenerator.GetString(NameDigits, NameLength);

    /// <summary>A new secret for a key.</summary>
    public static string Create(string id)
    {
        var secret = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretBytes));
        var text = $"{Prefix}{id.AsSpan(IdPrefix.Length)}-{secret}";
        return text + CheckOf(text);
    }

    /// <summary>The id that a key names; null for a text of another form, or with a slip in it.</summary>
    public static string? FindId(string key)
    {
        if (key.Length != Length || !key.StartsWith(Prefix, StringComparison.Ordinal) || key[Prefix.Length + NameLength] != '-') return null;
        return CheckOf(key[..^CheckLength]) == key[^CheckLength..] ? string.Concat(IdPrefix, key.AsSpan(Prefix.Length, NameLength)) : null;
    }

    /// <summary>Whether a text is meant to be such a key.</summary>
    public static bool IsMeant(string key) => key.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>What is stored in place of a key.</summary>
    public static byte[] HashOf(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    // CRC-32 (ISO 3309) in six digits of base 62.
    private static string CheckOf(string text)
    {
        var crc = uint.MaxValue;
        foreach (var letter in text)
        {
            crc ^= (byte)letter;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
        }
        crc = ~crc;
        Span<char> digits = stackalloc char[CheckLength];
        for (var i = CheckLength - 1; i >= 0; i--, crc /= 62) digits[i] = CheckDigits[(int)(crc % 62)];
        return new string(digits);
    }
}
