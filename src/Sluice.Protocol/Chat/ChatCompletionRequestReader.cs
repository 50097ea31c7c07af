using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

public static class ChatCompletionRequestReader
{
    public static bool TryRead(
        ReadOnlySequence<byte> body,
        [NotNullWhen(true)] out ChatCompletionRequest? request,
        [NotNullWhen(false)] out ApiError? error)
    {
        request = null;
        error = ApiErrors.UnparsableBody();
        return false;
    }
}
