using System.Net;

namespace Sluice.Server.Upstreams;

/// <summary>What an upstream's server answers.</summary>
internal abstract class ServerReply : IDisposable
{
    public abstract HttpStatusCode Status { get; }

    public bool IsSuccess => (int)Status is >= 200 and < 300;

    /// <summary>The value of a header, without white space around it; null where there is none. Of a success only until its body is read.</summary>
    public abstract string? Find(string name);

    /// <summary>The body, as it was sent. Belongs to the reply.</summary>
    public abstract ValueTask<Stream> OpenAsync(CancellationToken cancellation);

    /// <summary>The media type alone, in the server's case; null where there is none that can be read.</summary>
    public string? FindMediaType()
    {
        var type = Find("Content-Type")?.Split(';')[0].Trim();
        return type is { Length: > 0 } && type.Contains('/') ? type : null;
    }

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}
