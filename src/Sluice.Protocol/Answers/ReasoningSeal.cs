using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Protocol.Answers;

/// <summary>
/// Hands reasoning out as text that only this hub can read, so that it comes back unchanged and only its producer gets it. Equal reasoning
/// has equal text: a nonce that follows from the content keeps prompts, and the caches behind them, equal. Thread-safe.
/// </summary>
/// <remarks>
/// <c>slc1.</c> and base64url of nonce, AES-256-GCM ciphertext and tag. The nonce is the beginning of an HMAC-SHA-256 of the plaintext, as in
/// the SIV construction (RFC 5297), so it repeats only with the content.
/// </remarks>
public sealed class ReasoningSeal
{
    /// <summary>Bytes of the key.</summary>
    public const int KeyBytes = 32;

    /// <summary>What every sealed text begins with.</summary>
    public const string PrefixText = "slc1.";

    /// <summary>The same as bytes.</summary>
    internal static ReadOnlySpan<byte> Prefix => "slc1."u8;

    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    private readonly byte[] _cipherKey;
    private readonly byte[] _nonceKey;

    /// <param name="key">Secret, <see cref="KeyBytes"/> long.</param>
    public ReasoningSeal(ReadOnlySpan<byte> key)
    {
        if (key.Length != KeyBytes) throw new ArgumentException($"The key must have {KeyBytes} bytes.", nameof(key));
        _cipherKey = HMACSHA256.HashData(key, "cipher"u8);
        _nonceKey = HMACSHA256.HashData(key, "nonce"u8);
    }

    /// <summary>A text of letters, digits, <c>.</c>, <c>-</c> and <c>_</c>.</summary>
    public string Seal(ReasoningBlob blob)
    {
        var origin = Encoding.UTF8.GetBytes(blob.Origin);
        var plain = new byte[origin.Length + 1 + blob.Json.Length];
        origin.CopyTo(plain, 0);
        plain[origin.Length] = (byte)'\n';
        blob.Json.Span.CopyTo(plain.AsSpan(origin.Length + 1));
        var sealedBytes = new byte[NonceBytes + plain.Length + TagBytes];
        var nonce = sealedBytes.AsSpan(0, NonceBytes);
        HMACSHA256.HashData(_nonceKey, plain).AsSpan(0, NonceBytes).CopyTo(nonce);
        using var cipher = new AesGcm(_cipherKey, TagBytes);
        cipher.Encrypt(nonce, plain, sealedBytes.AsSpan(NonceBytes, plain.Length), sealedBytes.AsSpan(NonceBytes + plain.Length));
        return PrefixText + Base64Url.EncodeToString(sealedBytes);
    }

    /// <summary>Reads a text that <see cref="Seal"/> made with the same key; false for any other.</summary>
    public bool TryOpen([NotNullWhen(true)] string? text, out ReasoningBlob blob)
    {
        blob = default;
        if (text is null || !text.StartsWith(PrefixText, StringComparison.Ordinal)) return false;
        var encoded = text.AsSpan(PrefixText.Length);
        if (!Base64Url.IsValid(encoded, out var length) || length < NonceBytes + TagBytes) return false;
        var sealedBytes = Base64Url.DecodeFromChars(encoded);
        var plain = new byte[length - NonceBytes - TagBytes];
        try
        {
            using var cipher = new AesGcm(_cipherKey, TagBytes);
            cipher.Decrypt(
                sealedBytes.AsSpan(0, NonceBytes), sealedBytes.AsSpan(NonceBytes, plain.Length), sealedBytes.AsSpan(NonceBytes + plain.Length), plain);
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        var end = Array.IndexOf(plain, (byte)'\n');
        if (end < 0) return false;
        blob = new ReasoningBlob(Encoding.UTF8.GetString(plain, 0, end), plain.AsMemory(end + 1));
        return true;
    }
}
