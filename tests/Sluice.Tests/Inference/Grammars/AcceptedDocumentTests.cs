using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Inference.Grammars;
using Sluice.Testing.Grammars;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>The other direction of <see cref="RandomAnswerTests"/>: whatever is valid is accepted, in every way to write it, and nothing else is.</summary>
public sealed class AcceptedDocumentTests
{
    private const int StyleCount = 8;

    /// <summary>Schemas as applications send them, with documents that fit and such that don't, written for this test.</summary>
    public static TheoryData<string> Corpus => [.. ReadCorpus().Select(entry => entry.GetProperty("name").GetString()!)];

    [Fact]
    public void Whatever_is_valid_is_accepted_in_every_style()
    {
        int documents = 0;
        for (int seed = 0; seed < 600; seed++)
        {
            string schema = RandomSchema.Create(seed);
            if (Compile(schema) is not { } grammar) continue;
            for (int value = 0; value < 3; value++)
            {
                for (int style = 0; style < StyleCount; style++)
                {
                    if (RandomDocument.Write(JsonNode.Parse(schema)!.AsObject(), (seed * 3) + value, style) is not { } text) break;
                    Assert.Null(SchemaChecker.FindFault(JsonElement.Parse(schema), JsonElement.Parse(text)));
                    Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(text)), $"seed {seed}, style {style}: {schema}\n{text}");
                    documents++;
                }
            }
        }

        Assert.True(documents > 5000, $"{documents}");
    }

    [Fact]
    public void Whatever_a_change_makes_invalid_is_refused()
    {
        int refused = 0;
        for (int seed = 0; seed < 600; seed++)
        {
            string schema = RandomSchema.Create(seed);
            var random = new Random(seed);
            if (Compile(schema) is not { } grammar || RandomDocument.Write(JsonNode.Parse(schema)!.AsObject(), seed, 0) is not { } text) continue;
            for (int change = 0; change < 10; change++)
            {
                JsonElement changed = JsonElement.Parse(Change(text, random));
                if (SchemaChecker.FindFault(JsonElement.Parse(schema), changed) is null) continue;
                string written = JsonWriting.Compact(changed);
                Assert.False(grammar.Accepts(Encoding.UTF8.GetBytes(written)), $"seed {seed}: {schema}\n{written}");
                refused++;
            }
        }

        Assert.True(refused > 1000, $"{refused}");
    }

    [Theory]
    [MemberData(nameof(Corpus))]
    public void A_schema_of_an_application_takes_its_documents_and_no_others(string name)
    {
        JsonElement entry = ReadCorpus().Single(candidate => candidate.GetProperty("name").GetString() == name);
        JsonElement schema = entry.GetProperty("schema");
        Grammar grammar = Grammar.FromJsonSchema(schema);
        foreach (JsonElement document in entry.GetProperty("valid").EnumerateArray())
        {
            Assert.Null(SchemaChecker.FindFault(schema, document));
            Assert.All(
                (string[])[JsonWriting.Compact(document), JsonWriting.Spaced(document), JsonWriting.Indented(document, "  "), JsonWriting.Indented(document, "\t")],
                text => Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(text)), text));
        }

        foreach (JsonElement document in entry.GetProperty("invalid").EnumerateArray())
        {
            Assert.NotNull(SchemaChecker.FindFault(schema, document));
            Assert.False(grammar.Accepts(Encoding.UTF8.GetBytes(JsonWriting.Compact(document))), document.GetRawText());
        }
    }

    private static Grammar? Compile(string schema)
    {
        try
        {
            return Grammar.FromJsonSchema(JsonElement.Parse(schema));
        }
        catch (GrammarException)
        {
            // Bounds that leave nothing.
            return null;
        }
    }

    private static JsonElement[] ReadCorpus() =>
        [.. JsonElement.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "schema-corpus.json"))).EnumerateArray()];

    // Takes a member or an item away, adds one, or puts something else in its place.
    private static string Change(string text, Random random)
    {
        JsonNode root = JsonNode.Parse(text)!;
        var holders = new List<JsonNode>();
        Collect(root);
        JsonNode holder = holders[random.Next(holders.Count)];
        JsonNode? other = random.Next(6) switch { 0 => null, 1 => "?", 2 => 123456789, 3 => true, 4 => new JsonArray(), _ => new JsonObject() };
        if (holder is JsonObject members)
        {
            string[] names = [.. members.Select(member => member.Key)];
            string name = names.Length == 0 || random.Next(4) == 0 ? "unknown" : names[random.Next(names.Length)];
            if (random.Next(3) > 0 || !members.Remove(name)) members[name] = other;
        }
        else
        {
            JsonArray items = holder.AsArray();
            if (items.Count == 0 || random.Next(3) == 0) items.Add(other);
            else if (random.Next(2) == 0) items.RemoveAt(random.Next(items.Count));
            else items[random.Next(items.Count)] = other;
        }

        return root.ToJsonString();

        void Collect(JsonNode? node)
        {
            if (node is JsonObject or JsonArray) holders.Add(node);
            foreach (JsonNode? child in node is JsonObject own ? own.Select(member => member.Value) : node as JsonArray ?? []) Collect(child);
        }
    }
}
