namespace Sluice.Inference.Grammars;

/// <summary>
/// What is to be done after a terminal: frames that hold a node, how far it has come, and the frame after it. Equal frames are one, so many
/// stacks share their lower parts. Frames are taken back in the order opposite to the one in which they were made.
/// </summary>
internal sealed class FrameStore
{
    /// <summary>The frame under all others: nothing is left to do.</summary>
    public const int Bottom = -1;

    private Frame[] _frames = new Frame[64];
    private int[] _nextInBucket = new int[64];
    private int[] _buckets = new int[128]; // Frame + 1; 0 is empty.
    private int _count;

    /// <summary>Number of frames: what <see cref="Rewind"/> takes.</summary>
    public int Count => _count;

    public Frame this[int frame] => _frames[frame];

    /// <summary>The frame of that content.</summary>
    public int Intern(int node, int value, int parent)
    {
        var frame = new Frame(node, value, parent);
        int bucket = Bucket(frame);
        for (int found = _buckets[bucket] - 1; found >= 0; found = _nextInBucket[found])
        {
            if (_frames[found] == frame)
            {
                return found;
            }
        }

        if (_count == _frames.Length)
        {
            Grow();
            bucket = Bucket(frame);
        }

        _frames[_count] = frame;
        _nextInBucket[_count] = _buckets[bucket] - 1;
        _buckets[bucket] = ++_count;
        return _count - 1;
    }

    /// <summary>Takes back all frames but the first ones.</summary>
    public void Rewind(int count)
    {
        while (_count > count)
        {
            // The newest of its bucket, for the older ones were there before.
            _count--;
            _buckets[Bucket(_frames[_count])] = _nextInBucket[_count] + 1;
        }
    }

    /// <summary>Drops the frames that no position needs, and gives the positions the new numbers of theirs.</summary>
    public void Compact(List<Frame> tops)
    {
        // New number + 1 of each frame. A frame is newer than the one after it, so one pass each way is enough.
        var numbers = new int[_count];
        foreach (Frame top in tops)
        {
            Mark(top.Parent);
        }

        for (int frame = _count - 1; frame >= 0; frame--)
        {
            if (numbers[frame] > 0)
            {
                Mark(_frames[frame].Parent);
            }
        }

        int kept = 0;
        for (int frame = 0; frame < _count; frame++)
        {
            if (numbers[frame] > 0)
            {
                _frames[kept] = Renumber(_frames[frame]);
                numbers[frame] = ++kept;
            }
        }

        _count = kept;
        FillBuckets();
        for (int i = 0; i < tops.Count; i++)
        {
            tops[i] = Renumber(tops[i]);
        }

        void Mark(int frame)
        {
            if (frame != Bottom)
            {
                numbers[frame] = 1;
            }
        }

        Frame Renumber(Frame frame) => frame.Parent == Bottom ? frame : frame with { Parent = numbers[frame.Parent] - 1 };
    }

    private int Bucket(Frame frame)
    {
        uint hash = ((uint)frame.Node * 0x9E3779B9) ^ ((uint)frame.Value * 0x85EBCA6B) ^ ((uint)frame.Parent * 0xC2B2AE35);
        hash ^= hash >> 15;
        return (int)(hash & (uint)(_buckets.Length - 1));
    }

    private void Grow()
    {
        Array.Resize(ref _frames, _frames.Length * 2);
        Array.Resize(ref _nextInBucket, _frames.Length);
        _buckets = new int[_frames.Length * 2];
        FillBuckets();
    }

    private void FillBuckets()
    {
        Array.Clear(_buckets);
        for (int frame = 0; frame < _count; frame++)
        {
            int bucket = Bucket(_frames[frame]);
            _nextInBucket[frame] = _buckets[bucket] - 1;
            _buckets[bucket] = frame + 1;
        }
    }
}

/// <summary>A node that has been entered.</summary>
/// <param name="Node">The node.</param>
/// <param name="Value">Of a sequence its next part; of a repetition the parts that are complete.</param>
/// <param name="Parent">The frame that goes on after it, or <see cref="FrameStore.Bottom"/>.</param>
internal readonly record struct Frame(int Node, int Value, int Parent);
