namespace Sluice.Server.Answers;

/// <summary>
/// Answers that are kept for a time, up to a number and to an amount of memory; the one that came first goes first. For one thread at a
/// time.
/// </summary>
/// <param name="countMax">Answers.</param>
/// <param name="bytesMax">Memory of all of them.</param>
/// <param name="lifetime">Of each.</param>
/// <param name="time">Clock of the lifetime.</param>
internal sealed class KeptAnswers(int countMax, long bytesMax, TimeSpan lifetime, TimeProvider time)
{
    private readonly record struct Kept(Answer Answer, long Since, long Bytes);

    private readonly LinkedList<Kept> _kept = [];
    private readonly Dictionary<Answer, LinkedListNode<Kept>> _nodes = [];

    /// <summary>Memory of all.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether it is one of them.</summary>
    public bool Contains(Answer answer) => _nodes.ContainsKey(answer);

    /// <summary>Keeps another one from now on.</summary>
    /// <param name="answer">None of those that are kept.</param>
    /// <param name="bytes">Its memory.</param>
    /// <param name="age">How long it has been kept elsewhere; not longer than those that are here.</param>
    public void Add(Answer answer, long bytes, TimeSpan age = default)
    {
        Bytes += bytes;
        _nodes.Add(answer, _kept.AddLast(new Kept(answer, time.GetTimestamp() - (long)(age.TotalSeconds * time.TimestampFrequency), bytes)));
    }

    /// <summary>Has the first one give memory back that can, and stays kept.</summary>
    /// <param name="bytesLeft">What is left of each that can.</param>
    /// <returns>False when none can.</returns>
    public bool TryShed(long bytesLeft)
    {
        for (var node = _kept.First; node is not null; node = node.Next)
        {
            var kept = node.Value;
            if (kept.Bytes <= bytesLeft || !kept.Answer.Log.IsSpilled || !kept.Answer.Log.Shed(0)) continue;
            node.Value = kept with { Bytes = bytesLeft };
            Bytes -= kept.Bytes - bytesLeft;
            return true;
        }
        return false;
    }

    /// <summary>False when it was none of them.</summary>
    public bool Remove(Answer answer)
    {
        if (!_nodes.Remove(answer, out var node)) return false;
        _kept.Remove(node);
        Bytes -= node.Value.Bytes;
        return true;
    }

    /// <summary>Takes out the one that came first; null when there is none.</summary>
    public Answer? TakeFirst()
    {
        if (_kept.First is not { } first) return null;
        var answer = first.Value.Answer;
        Remove(answer);
        return answer;
    }

    /// <summary>Takes out one that is beyond the bounds or over its time; null when there is none.</summary>
    /// <param name="next">Then: how long until the next one's time is over, or infinite.</param>
    public Answer? TakeDue(out TimeSpan next)
    {
        next = Timeout.InfiniteTimeSpan;
        if (_kept.First is not { } first) return null;
        var left = lifetime - time.GetElapsedTime(first.Value.Since);
        if (left <= TimeSpan.Zero || _kept.Count > countMax || Bytes > bytesMax) return TakeFirst();
        next = left;
        return null;
    }
}
