using System.Text;
using Sluice.Inference.ToolCalls;
using Xunit;

namespace Sluice.Tests.Inference.ToolCalls;

/// <summary>An answer as the machine read it, in pieces of chosen sizes.</summary>
internal sealed record ReadAnswer(string Content, string Reasoning, IReadOnlyList<(string Tool, string Arguments)> Calls, int EndedCalls)
{
    public static readonly string[] Tools = ["get_weather", "add", "get"];

    /// <summary>Reads a text and checks that every byte of it is in exactly one part, in order.</summary>
    /// <param name="dialect">Null where there are no tools.</param>
    /// <param name="text">The answer.</param>
    /// <param name="nextLength">Length of the next piece.</param>
    /// <param name="knowsReasoning">Whether reasoning is looked for.</param>
    public static ReadAnswer Read(ToolCallDialect? dialect, ReadOnlySpan<byte> text, Func<int> nextLength, bool knowsReasoning = false) =>
        Read(new AnswerParser(dialect, [.. Tools.Select(Encoding.UTF8.GetBytes)], knowsReasoning), text, nextLength);

    /// <summary>Reads a text whole, byte by byte and in pieces of every other size: always the same.</summary>
    public static ReadAnswer Read(Func<AnswerReader> create, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        ReadAnswer whole = Read(create(), bytes, () => bytes.Length + 1);
        for (int size = 1; size < Math.Max(bytes.Length, 2); size++)
        {
            int fixedSize = size;
            whole.AssertSame(Read(create(), bytes, () => fixedSize));
        }

        // And cut in two at every byte.
        for (int first = 1; first < bytes.Length; first++)
        {
            var lengths = new Queue<int>([first, bytes.Length]);
            whole.AssertSame(Read(create(), bytes, lengths.Dequeue));
        }

        return whole;
    }

    /// <summary>Reads a text and checks that every byte of it is in exactly one part, in order, unless it is made.</summary>
    /// <param name="reader">Reads it.</param>
    /// <param name="text">The answer.</param>
    /// <param name="nextLength">Length of the next piece.</param>
    public static ReadAnswer Read(AnswerReader reader, ReadOnlySpan<byte> text, Func<int> nextLength)
    {
        (List<byte> content, List<byte> reasoning, List<byte> all) = ([], [], []);
        var calls = new List<(string Tool, List<byte> Arguments)>();
        int ended = 0;
        for (int at = 0, isLast = 0; isLast == 0;)
        {
            int length = Math.Min(nextLength(), text.Length - at);
            isLast = at + length == text.Length ? 1 : 0;
            reader.Read(text.Slice(at, length), isLast == 1);
            at += length;
            foreach (AnswerPart part in reader.Parts)
            {
                byte[] bytes = reader.Text(part).ToArray();
                if (!part.IsMade) all.AddRange(bytes);
                switch (part.Kind)
                {
                    case AnswerPartKind.Content:
                        content.AddRange(bytes);
                        break;
                    case AnswerPartKind.Reasoning:
                        reasoning.AddRange(bytes);
                        break;
                    case AnswerPartKind.Call:
                        calls.Add((Tools[part.Tool], []));
                        break;
                    case AnswerPartKind.Arguments:
                        Assert.Equal(ended, calls.Count - 1);
                        calls[^1].Arguments.AddRange(bytes);
                        break;
                    case AnswerPartKind.CallEnd:
                        ended++;
                        break;
                    default:
                        break;
                }
            }
        }

        Assert.Equal(text.ToArray(), all);
        Assert.Equal(calls.Count, ended);
        return new ReadAnswer(
            Text(content), Text(reasoning), [.. calls.Select(call => (call.Tool, Text(call.Arguments)))], ended);
    }

    /// <summary>Reads a text whole, byte by byte and in pieces of every other size: always the same.</summary>
    public static ReadAnswer Read(ToolCallDialect? dialect, string text, bool knowsReasoning = false)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        ReadAnswer whole = Read(dialect, bytes, () => bytes.Length + 1, knowsReasoning);
        for (int size = 1; size < Math.Max(bytes.Length, 2); size++)
        {
            int fixedSize = size;
            whole.AssertSame(Read(dialect, bytes, () => fixedSize, knowsReasoning));
        }

        return whole;
    }

    public void AssertSame(ReadAnswer other)
    {
        Assert.Equal(Content, other.Content);
        Assert.Equal(Reasoning, other.Reasoning);
        Assert.Equal(Calls, other.Calls);
    }

    private static string Text(List<byte> bytes) => Encoding.Latin1.GetString([.. bytes]);
}
