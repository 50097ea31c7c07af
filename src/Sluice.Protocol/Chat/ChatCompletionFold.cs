using System.Buffers;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

public sealed class ChatCompletionFold
{
    public bool IsDone { get; private set; }

    public ApiError? Error { get; private set; }

    public void Add(ReadOnlySpan<byte> sseEvents)
    {
        _ = sseEvents;
        IsDone = true;
        Error = null;
    }

    public void WriteTo(IBufferWriter<byte> output) 
    {
        if (!IsDone) throw new InvalidOperationException("The stream is not complete.");
    }
}
