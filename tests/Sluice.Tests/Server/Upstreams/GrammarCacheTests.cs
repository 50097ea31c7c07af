using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

public sealed class GrammarCacheTests
{
    [Fact]
    public void A_schema_is_compiled_once_until_others_have_pushed_it_out()
    {
        var cache = new GrammarCache(new Limits { CachedGrammars = 2 });
        Grammar first = cache.Get(Schema("a"));
        Assert.Same(first, cache.Get(Schema("a")));
        _ = cache.Get(Schema("b"));
        Assert.Same(first, cache.Get(Schema("a")));
        _ = cache.Get(Schema("c"));
        Assert.Same(first, cache.Get(Schema("a")));
        Assert.Equal(3, cache.CompiledCount);
        _ = cache.Get(Schema("b"));
        Assert.Equal(4, cache.CompiledCount);
    }

    [Fact]
    public void What_is_refused_is_not_kept_and_length_is_bounded()
    {
        var cache = new GrammarCache(new Limits { SchemaCharacters = 20 });
        Assert.Throws<GrammarException>(() => cache.Get(JsonElement.Parse("""{"not":{}}""")));
        Assert.Throws<GrammarException>(() => cache.Get(JsonElement.Parse("""{"not":{}}""")));
        var error = Assert.Throws<GrammarException>(() => cache.Get(Schema("long enough to be too long")));
        Assert.Contains("the most that are compiled are 20", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, cache.CompiledCount);
    }

    private static JsonElement Schema(string name) => JsonElement.Parse($$"""{"const":"{{name}}"}""");
}
