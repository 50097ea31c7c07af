using Sluice.Protocol.Errors;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>Ends the log of a generation that stopped because it was told to, as the cause demands.</summary>
internal static class CancelledEnd
{
    public static void Write(Generation generation)
    {
        switch (generation.CancellationCause)
        {
            case CancellationCause.Shutdown:
                generation.Log.Fail(ServerState.StoppingError);
                break;
            case CancellationCause.Deadline:
                generation.Log.Fail(ApiErrors.ServerError("The request took longer than it may.") with { Status = 504 });
                break;
            default:
                generation.Log.Cancel();
                break;
        }
    }
}
