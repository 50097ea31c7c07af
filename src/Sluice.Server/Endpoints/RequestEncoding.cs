using System.IO.Compression;
using Microsoft.Extensions.Primitives;
using Sluice.Protocol.Errors;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Sluice.Server.Endpoints;

/// <summary>What a body is compressed with: the header <c>Content-Encoding</c>.</summary>
internal static class RequestEncoding
{
    /// <summary>What is taken, as a header says it.</summary>
    public const string Accepted = "gzip, deflate, br, zstd";

    // RFC 9659: what HTTP compresses with zstd needs no more than 8 MiB to be decompressed.
    private const int ZstdWindowLogMax = 23;

    /// <summary>The body decompressed; the same stream where it is not compressed.</summary>
    public static async ValueTask<(Stream? Body, ApiError? Error)> OpenAsync(StringValues header, BoundedBody body, CancellationToken cancellation)
    {
        var encodings = header.ToString().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(static name => !name.Equals("identity", StringComparison.OrdinalIgnoreCase)).ToArray();
        // Nobody compresses twice but by mistake, or to let others work.
        if (encodings.Length > 1) return (null, ApiErrors.UnsupportedContentEncoding(header.ToString(), Accepted));
        if (encodings is not [var encoding]) return (body, null);
        return encoding.ToLowerInvariant() switch
        {
            "gzip" or "x-gzip" => (new GZipStream(body, CompressionMode.Decompress, leaveOpen: true), null),
            "br" => (new BrotliStream(body, CompressionMode.Decompress, leaveOpen: true), null),
            "deflate" => (await OpenDeflateAsync(body, cancellation), null),
            "zstd" => (OpenZstd(body), null),
            _ => (null, ApiErrors.UnsupportedContentEncoding(encoding, Accepted)),
        };
    }

    /// <summary>Whether a decompressor has failed because of what it read.</summary>
    public static bool IsBroken(Exception exception) =>
        exception is InvalidDataException or ZstdException or EndOfStreamException
        // Brotli's.
        || (exception is InvalidOperationException and not ObjectDisposedException);

    // The word means zlib's format, and many send what is within it.
    private static async ValueTask<Stream> OpenDeflateAsync(BoundedBody body, CancellationToken cancellation)
    {
        var head = (await body.PeekAsync(2, cancellation)).ToArray();
        var isZlib = head is [var method, var flags] && (method & 0x0F) == 8 && ((method << 8) | flags) % 31 == 0;
        return isZlib
            ? new ZLibStream(body, CompressionMode.Decompress, leaveOpen: true)
            : new DeflateStream(body, CompressionMode.Decompress, leaveOpen: true);
    }

    private static DecompressionStream OpenZstd(BoundedBody body)
    {
        var stream = new DecompressionStream(body, leaveOpen: true);
        stream.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, ZstdWindowLogMax);
        return stream;
    }
}
