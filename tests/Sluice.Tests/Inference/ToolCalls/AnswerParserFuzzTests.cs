using System.Text;
using Sluice.Inference.ToolCalls;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.ToolCalls;

/// <summary>Whatever a model writes, nothing throws and no byte is lost or doubled; <see cref="ReadAnswer"/> checks that.</summary>
public sealed class AnswerParserFuzzTests
{
    private static readonly string[] s_pieces =
    [
        "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>", "<|tool_call|>", "<think>", "</think>",
        "{", "}", "[", "]", "\"", ":", ",", ";", "\\", " ", "\n", "{\"name\": \"add\", \"arguments\": ", "\"name\"", "\"arguments\"", "\"parameters\"",
        "get_weather", "add", "{}", "{\"a\": 1}", "x", "<", "é", "true", "12",
    ];

    public static TheoryData<string> Families => ["Hermes", "Llama", "Mistral", "Mistral Small", "Granite", "generic"];

    [Theory]
    [MemberData(nameof(Families))]
    public void Pieces_OfAllFormatsInAnyOrder_AreReadTheSameInAnySplit(string family)
    {
        for (int seed = 0; seed < 4000; seed++)
        {
            var random = new Random(seed);
            byte[] text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, random.Next(1, 24)).Select(_ => s_pieces[random.Next(s_pieces.Length)])));
            Check(family, text, random, seed);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void RandomBytes_AreReadTheSameInAnySplit(string family)
    {
        for (int seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            var text = new byte[random.Next(64)];
            random.NextBytes(text);
            Check(family, text, random, seed);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Truncations_LoseNothing_AndKeepWhatWasDelivered(string family)
    {
        foreach (var row in AnswerParserTests.Answers.Where(row => row.Data.Item1 == family))
        {
            byte[] text = Encoding.UTF8.GetBytes(row.Data.Item2);
            ReadAnswer whole = ReadAnswer.Read(AnswerParserTests.Find(family), text, () => 1);
            for (int length = 0; length < text.Length; length++)
            {
                ReadAnswer cut = ReadAnswer.Read(AnswerParserTests.Find(family), text.AsSpan(0, length), () => 1);
                Assert.True(cut.Calls.Count <= whole.Calls.Count, $"{row.Data.Item2} cut at {length}");
                for (int i = 0; i < cut.Calls.Count; i++)
                {
                    Assert.Equal(whole.Calls[i].Tool, cut.Calls[i].Tool);
                    Assert.StartsWith(cut.Calls[i].Arguments, whole.Calls[i].Arguments, StringComparison.Ordinal);
                }
            }
        }
    }

    [Fact]
    public void APlainAnswer_AllocatesNothing()
    {
        var reader = new AnswerParser(ToolCallDialect.Hermes, ["add"u8.ToArray()], knowsReasoning: true);
        Run(1000);
        Assert.Equal(0, AllocatedBytes.Least(() => Run(10_000)));

        void Run(int count)
        {
            for (int i = 0; i < count; i++)
            {
                reader.Read(" <token>\n"u8, isLast: false);
            }
        }
    }

    private static void Check(string family, byte[] text, Random random, int seed)
    {
        try
        {
            ToolCallDialect dialect = AnswerParserTests.Find(family);
            bool knowsReasoning = random.Next(2) == 0;
            ReadAnswer whole = ReadAnswer.Read(dialect, text, () => text.Length + 1, knowsReasoning);
            whole.AssertSame(ReadAnswer.Read(dialect, text, () => 1, knowsReasoning));
            whole.AssertSame(ReadAnswer.Read(dialect, text, () => random.Next(1, 5), knowsReasoning));
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"seed {seed}: {Encoding.Latin1.GetString(text)}", error);
        }
    }
}
