using System.Text;
using Sluice.Inference.Gguf;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Gguf;

public sealed class GgufMetadataTests
{
    private static GgufMetadata Read(GgufWriter writer)
    {
        using var temporary = new TemporaryGguf(writer.ToArray());
        using var file = GgufFile.Open(temporary.Path);
        return file.Metadata;
    }

    internal static List<string>? Strings(GgufMetadata metadata, string key)
    {
        if (metadata.FindUtf8Strings(key) is not { } array)
        {
            return null;
        }

        var strings = new List<string>();
        foreach (var text in array)
        {
            strings.Add(Encoding.UTF8.GetString(text));
        }

        return strings;
    }

    [Fact]
    public void Numbers_OfEveryType_AreRead()
    {
        var metadata = Read(new GgufWriter()
            .Add("u8", (byte)200).Add("i8", (sbyte)-100).Add("u16", (ushort)60000).Add("i16", (short)-30000)
            .Add("u32", 4_000_000_000u).Add("i32", -2_000_000_000).Add("u64", 1UL << 62).Add("i64", long.MinValue)
            .Add("f32", 0.5f).Add("f64", 0.1).Add("huge", ulong.MaxValue).Add("yes", true).Add("no", false));

        Assert.Equal(
            [200, -100, 60000, -30000, 4_000_000_000, -2_000_000_000, 1L << 62, long.MinValue],
            new[] { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64" }.Select(key => metadata.GetInteger(key)));
        Assert.Equal([0.5, 0.1, 200, 1.8446744073709552E19], new[] { "f32", "f64", "u8", "huge" }.Select(key => metadata.GetNumber(key)));
        Assert.True(metadata.GetBoolean("yes", false));
        Assert.False(metadata.GetBoolean("no", true));
        AssertRefused("expected an integer that fits in 63 bits, found 18446744073709551615.", () => metadata.GetInteger("huge"));
    }

    [Fact]
    public void MissingKeys_GiveTheFallbackOrSaySo()
    {
        var metadata = Read(new GgufWriter());
        Assert.False(metadata.Contains("a"));
        Assert.Equal((7L, 0.25, true), (metadata.GetInteger("a", 7), metadata.GetNumber("a", 0.25), metadata.GetBoolean("a", true)));
        Assert.Null(metadata.FindString("a"));
        Assert.Null(Strings(metadata, "a"));
        Assert.Null(metadata.FindSingles("a"));
        Assert.Null(metadata.FindIntegers("a"));
        AssertRefused("key 'a': expected an integer, found no such key.", () => metadata.GetInteger("a"));
        AssertRefused("key 'a': expected a string, found no such key.", () => metadata.GetString("a"));
        AssertRefused("key 'a': expected a number, found no such key.", () => metadata.GetNumber("a"));
    }

    [Fact]
    public void Arrays_AreRead()
    {
        var metadata = Read(new GgufWriter()
            .AddArray("strings", ["a", "", "größer", "🦙"])
            .AddArray("singles", new[] { 1.5f, -2f })
            .AddArray("doubles", new[] { 0.25 })
            .AddArray("bytes", new byte[] { 1, 255 })
            .AddArray("longs", new[] { 1L << 40 })
            .AddArray("booleans", [true, false])
            .AddArray("none", Array.Empty<string>())
            .Add("last", 5u));

        Assert.Equal(["a", "", "größer", "🦙"], Strings(metadata, "strings")!);
        Assert.Equal([1.5f, -2f], metadata.FindSingles("singles")!);
        Assert.Equal([0.25f], metadata.FindSingles("doubles")!);
        Assert.Equal([1, 255], metadata.FindIntegers("bytes")!);
        Assert.Empty(Strings(metadata, "none")!);
        Assert.Equal(5, metadata.GetInteger("last"));
        AssertRefused("expected integers that fit in 32 bits, found 1099511627776 as element 0.", () => metadata.FindIntegers("longs"));
        AssertRefused("expected an array of strings, found an array with elements of type u8.", () => Strings(metadata, "bytes"));
        AssertRefused(
            "expected an array of integers, found an array with elements of type a boolean.",
            () => metadata.FindIntegers("booleans"));
        AssertRefused(
            "expected an array of numbers, found an array with elements of type a string.",
            () => metadata.FindSingles("strings"));
    }

    [Fact]
    public void GetIntegerAt_TakesAScalarOrALayersElement()
    {
        var metadata = Read(new GgufWriter().Add("scalar", 3u).AddArray("layers", new[] { 4, 5 }));
        Assert.Equal([3, 3], [metadata.GetIntegerAt("scalar", 0), metadata.GetIntegerAt("scalar", 9)]);
        Assert.Equal([4, 5], [metadata.GetIntegerAt("layers", 0), metadata.GetIntegerAt("layers", 1)]);
        AssertRefused("key 'layers': expected an element for layer 2, found 2 elements.", () => metadata.GetIntegerAt("layers", 2));
    }

    [Fact]
    public void WrongTypes_AreNamed()
    {
        var metadata = Read(new GgufWriter().Add("text", "x").Add("number", 1u).AddArray("array", new[] { 1u }));
        AssertRefused("key 'text': expected an integer, found a string.", () => metadata.GetInteger("text", 1));
        AssertRefused("key 'text': expected a number, found a string.", () => metadata.GetNumber("text"));
        AssertRefused("key 'number': expected a string, found u32.", () => metadata.FindString("number"));
        AssertRefused("key 'number': expected a boolean, found u32.", () => metadata.GetBoolean("number", true));
        AssertRefused("key 'array': expected an integer, found an array with elements of type u32.", () => metadata.GetInteger("array"));
    }

    private static void AssertRefused(string expected, Func<object?> read) =>
        Assert.EndsWith(expected, Assert.Throws<GgufException>(() => read()).Message, StringComparison.Ordinal);
}
