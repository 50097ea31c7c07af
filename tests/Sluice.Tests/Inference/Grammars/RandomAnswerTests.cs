using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Sluice.Inference.Grammars;
using Sluice.Testing.Grammars;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Whatever the schema and however senseless the model: what it writes under the grammar parses and validates.</summary>
public sealed class RandomAnswerTests
{
    [Fact]
    public void With_the_shipped_vocabulary() => CheckMany(RandomAnswer.Shipped, 150);

    [Fact]
    public void With_bytes_and_a_few_words() => CheckMany(RandomAnswer.Tiny, 400);

    private static void CheckMany(RandomAnswer model, int count) => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(count),
        Prop.ForAll(Gen.Choose(0, 1_000_000).Two().ToArbitrary(), pair =>
        {
            (int schemaSeed, int seed) = pair;
            string schema = RandomSchema.Create(schemaSeed);
            Grammar grammar;
            try
            {
                grammar = Grammar.FromJsonSchema(JsonElement.Parse(schema));
            }
            catch (GrammarException)
            {
                // Bounds that leave nothing.
                return;
            }

            string answer = model.Write(grammar, seed);
            using JsonDocument document = JsonDocument.Parse(answer);
            Assert.Null(SchemaChecker.FindFault(JsonElement.Parse(schema), document.RootElement));

            // The same value as others would write it.
            JsonElement value = document.RootElement;
            string[] spellings =
            [
                answer, JsonWriting.Compact(value), JsonWriting.Spaced(value), JsonWriting.Indented(value, "  "), JsonWriting.Indented(value, "\t"),
            ];
            Assert.All(spellings, spelling => Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(spelling)), $"{schema}\n{spelling}"));
        }));
}
