using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>One connection's place in an answer. Leaving may come from any thread, all else belongs to the connection.</summary>
internal sealed class AnswerConnection(Answer answer, StreamLogReader cursor) : IDisposable
{
    private int _hasLeft;
    private volatile bool _hasSent;

    public Answer Answer => answer;

    public StreamLogReader Cursor => cursor;

    /// <summary>Something of the answer goes to the client, who may have seen it from now on.</summary>
    public void SetSent() => _hasSent = true;

    /// <summary>The client is gone: the answer counts it no longer, and whoever waits for an event looks up.</summary>
    public void Leave()
    {
        if (Interlocked.Exchange(ref _hasLeft, 1) == 0) answer.Detach(this, _hasSent);
        cursor.Wake();
    }

    public void Dispose()
    {
        Leave();
        cursor.Dispose();
    }
}
