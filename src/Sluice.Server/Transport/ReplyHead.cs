using System.Buffers.Text;
using System.Text;

namespace Sluice.Server.Transport;

/// <summary>The head of an HTTP/1.1 response, read where it lies: valid as long as its bytes are.</summary>
internal readonly struct ReplyHead
{
    private readonly ReadOnlyMemory<byte> _fields;

    private ReplyHead(int status, bool isOld, ReadOnlyMemory<byte> fields) => (Status, IsOld, _fields) = (status, isOld, fields);

    public int Status { get; }

    /// <summary>HTTP/1.0, whose connections end with the body unless they say otherwise.</summary>
    public bool IsOld { get; }

    /// <summary>Where a head ends.</summary>
    /// <param name="bytes">As received.</param>
    /// <returns>Bytes up to and with its blank line; -1 where that has not come.</returns>
    public static int FindEnd(ReadOnlySpan<byte> bytes)
    {
        var from = 0;
        while (bytes[from..].IndexOf((byte)'\n') is >= 0 and var index)
        {
            from += index + 1;
            if (from < bytes.Length && bytes[from] == '\n') return from + 1;
            if (from + 1 < bytes.Length && bytes[from] == '\r' && bytes[from + 1] == '\n') return from + 2;
        }
        return -1;
    }

    /// <exception cref="IOException">It is no head of HTTP/1.</exception>
    public static ReplyHead Read(ReadOnlyMemory<byte> bytes)
    {
        var span = bytes.Span;
        var end = span.IndexOf((byte)'\n');
        var line = span[..end].TrimEnd((byte)'\r');
        if (!line.StartsWith("HTTP/1."u8) || line.Length < 12 || line[8] != ' ' || !Utf8Parser.TryParse(line.Slice(9, 3), out int status, out var digits) || digits != 3 || status < 100
            || (line.Length > 12 && line[12] != ' '))
            throw new IOException("The server does not speak HTTP/1.1.");
        return new ReplyHead(status, line[7] == '0', bytes[(end + 1)..]);
    }

    /// <summary>The value of a field, those of several by commas; null where there is none.</summary>
    public string? Find(string name)
    {
        string? found = null;
        var rest = _fields.Span;
        while (TryReadField(ref rest, out var field, out var value))
        {
            if (!Ascii.EqualsIgnoreCase(field, name)) continue;
            var text = Encoding.Latin1.GetString(value);
            found = found is null ? text : $"{found}, {text}";
        }
        return found;
    }

    /// <summary>Whether one of a field's comma-separated words is this one.</summary>
    public bool Has(ReadOnlySpan<byte> name, ReadOnlySpan<byte> word)
    {
        var rest = _fields.Span;
        while (TryReadField(ref rest, out var field, out var value))
        {
            if (!Ascii.EqualsIgnoreCase(field, name)) continue;
            foreach (var range in value.Split((byte)','))
            {
                if (Ascii.EqualsIgnoreCase(value[range].Trim(" \t"u8), word)) return true;
            }
        }
        return false;
    }

    /// <summary>Whether the field is there.</summary>
    public bool Has(ReadOnlySpan<byte> name)
    {
        var rest = _fields.Span;
        while (TryReadField(ref rest, out var field, out _))
        {
            if (Ascii.EqualsIgnoreCase(field, name)) return true;
        }
        return false;
    }

    /// <summary>The stated length of the body; null where there is none.</summary>
    /// <exception cref="IOException">It is no length, or there are two that differ.</exception>
    public long? ReadLength()
    {
        long? length = null;
        var rest = _fields.Span;
        while (TryReadField(ref rest, out var field, out var value))
        {
            if (!Ascii.EqualsIgnoreCase(field, "Content-Length"u8)) continue;
            if (!Utf8Parser.TryParse(value, out long stated, out var digits) || digits != value.Length || stated < 0 || (length is { } known && known != stated))
                throw new IOException("The server's reply has no valid length.");
            length = stated;
        }
        return length;
    }

    private static bool TryReadField(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        name = value = default;
        while (true)
        {
            var end = rest.IndexOf((byte)'\n');
            if (end < 0) return false;
            var line = rest[..end].TrimEnd((byte)'\r');
            rest = rest[(end + 1)..];
            if (line.Length == 0) return false;
            var colon = line.IndexOf((byte)':');
            // What is no field is passed over, as a browser does.
            if (colon <= 0) continue;
            name = line[..colon];
            value = line[(colon + 1)..].Trim(" \t"u8);
            return true;
        }
    }
}
