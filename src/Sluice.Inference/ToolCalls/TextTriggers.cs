using System.Text;

namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Finds the first of some texts in bytes that come one by one: a table of states (Aho and Corasick), one look-up a byte. Immutable.
/// </summary>
internal sealed class TextTriggers
{
    private const int Width = 256;
    private readonly int[] _next;
    private readonly int[] _depths;
    private readonly int[] _matches;

    /// <param name="texts">Not empty, and none of them within another.</param>
    public TextTriggers(IReadOnlyList<string> texts)
    {
        byte[][] patterns = [.. texts.Select(Encoding.UTF8.GetBytes)];
        int capacity = 1 + patterns.Sum(static pattern => pattern.Length);
        _next = new int[capacity * Width];
        _depths = new int[capacity];
        _matches = new int[capacity];
        Array.Fill(_matches, -1);
        int count = 1;
        for (int i = 0; i < patterns.Length; i++)
        {
            int state = 0;
            foreach (byte value in patterns[i])
            {
                ref int next = ref _next[(state * Width) + value];
                if (next == 0)
                {
                    _depths[count] = _depths[state] + 1;
                    next = count++;
                }

                state = next;
            }

            _matches[state] = i;
        }

        AddFallbacks();
    }

    /// <summary>The state after a byte; 0 is the beginning.</summary>
    public int Next(int state, byte value) => _next[(state * Width) + value];

    /// <summary>How many of the last bytes begin a text.</summary>
    public int Depth(int state) => _depths[state];

    /// <summary>Index of the text that is complete, or -1.</summary>
    public int Match(int state) => _matches[state];

    // Breadth first: where a state has no edge of its own, it goes on as its longest proper suffix does.
    private void AddFallbacks()
    {
        var fallbacks = new int[_depths.Length];
        var open = new Queue<int>();
        for (int value = 0; value < Width; value++)
        {
            if (_next[value] != 0)
            {
                open.Enqueue(_next[value]);
            }
        }

        while (open.TryDequeue(out int state))
        {
            for (int value = 0; value < Width; value++)
            {
                ref int next = ref _next[(state * Width) + value];
                int fallback = _next[(fallbacks[state] * Width) + value];
                if (next != 0)
                {
                    fallbacks[next] = fallback;
                    open.Enqueue(next);
                }
                else
                {
                    next = fallback;
                }
            }
        }
    }
}
