using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Upstreams;

/// <summary>
/// A request as the client wrote it. It is read in full, and held to the rules of the API, only by what must understand all of it: the local
/// engine, and a dialect that translates. Thread-safe.
/// </summary>
internal sealed class ClientRequest(ReadOnlyMemory<byte> body)
{
    private readonly Lock _lock = new();
    private ChatCompletionRequest? _request;
    private ApiError? _error;

    public ReadOnlyMemory<byte> Body => body;

    /// <summary>Reads it, once for all attempts.</summary>
    public bool TryRead([NotNullWhen(true)] out ChatCompletionRequest? request, [NotNullWhen(false)] out ApiError? error)
    {
        lock (_lock)
        {
            if (_request is null && _error is null) ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(body), out _request, out _error);
            (request, error) = (_request, _error);
            return request is not null;
        }
    }
}
