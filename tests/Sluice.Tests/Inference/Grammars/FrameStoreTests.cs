using Sluice.Inference.Grammars;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Frames against a list of them.</summary>
public sealed class FrameStoreTests
{
    [Fact]
    public void Random_use_keeps_equal_frames_one_and_stacks_what_they_were()
    {
        for (int seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var store = new FrameStore();
            var model = new List<Frame>();
            for (int i = 0; i < 3000; i++)
            {
                if (random.Next(50) == 0)
                {
                    int count = random.Next(model.Count + 1);
                    store.Rewind(count);
                    model.RemoveRange(count, model.Count - count);
                }
                else if (random.Next(400) == 0 && model.Count > 0)
                {
                    var tops = new List<Frame> { new(1, 2, random.Next(model.Count)), new(3, 4, FrameStore.Bottom), new(5, 6, random.Next(model.Count)) };
                    string[] before = [.. tops.Select(top => Stack(top, frame => model[frame]))];
                    store.Compact(tops);
                    Assert.Equal(before, tops.Select(top => Stack(top, frame => store[frame])));
                    model = [.. Enumerable.Range(0, store.Count).Select(frame => store[frame])];
                }
                else
                {
                    var frame = new Frame(random.Next(5), random.Next(3), random.Next(-1, Math.Min(model.Count, 40)));
                    int index = store.Intern(frame.Node, frame.Value, frame.Parent);
                    int expected = model.IndexOf(frame);
                    Assert.Equal(expected < 0 ? model.Count : expected, index);
                    if (expected < 0)
                    {
                        model.Add(frame);
                    }
                }

                Assert.Equal(model.Count, store.Count);
            }
        }
    }

    private static string Stack(Frame top, Func<int, Frame> find)
    {
        var text = new System.Text.StringBuilder();
        for (Frame frame = top; ; frame = find(frame.Parent))
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{frame.Node}.{frame.Value} ");
            if (frame.Parent == FrameStore.Bottom)
            {
                return text.ToString();
            }
        }
    }
}
