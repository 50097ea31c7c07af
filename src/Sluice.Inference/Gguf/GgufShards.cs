using System.Globalization;

namespace Sluice.Inference.Gguf;

/// <summary>
/// Opens all files of a model. The first has the keys; every one has <c>split.no</c>, <c>split.count</c> and <c>split.tensors.count</c>, and
/// tensors of its own.
/// </summary>
internal static class GgufShards
{
    private const string NumberKey = "split.no";
    private const string CountKey = "split.count";
    private const string TensorCountKey = "split.tensors.count";

    /// <param name="path">The only file, or the first of several.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgufException">A file is missing, damaged or of another model.</exception>
    public static GgufShard[] Open(string path)
    {
        var first = GgufShard.Open(path);
        var shards = new List<GgufShard> { first };
        try
        {
            var count = first.Header.Metadata.GetInteger(CountKey, 1);
            if (count <= 1) return [first];
            CheckFirst(first, count);
            for (var i = 1; i < count; i++) shards.Add(OpenLater(path, i, count));
            CheckTensors(shards);
            return [.. shards];
        }
        catch
        {
            foreach (var shard in shards) shard.Dispose();
            throw;
        }
    }

    private static void CheckFirst(GgufShard shard, long count)
    {
        var metadata = shard.Header.Metadata;
        if (count > GgufLimits.ShardCountMax)
        {
            throw metadata.Error(CountKey, Text($"at most {GgufLimits.ShardCountMax} shards"), Text($"{count}"));
        }

        var number = metadata.GetInteger(NumberKey);
        if (number != 0)
        {
            var name = GgufShardNames.First(shard.Path) is { } first ? $" ({Path.GetFileName(first)})" : "";
            throw metadata.Error(NumberKey, $"the first shard of the model{name}", Text($"shard {number + 1} of {count}"));
        }

        if (GgufShardNames.Count(shard.Path) != count || GgufShardNames.First(shard.Path) != shard.Path)
        {
            throw metadata.Error(
                CountKey, Text($"a file name that ends in -00001-of-{count:D5}.gguf, by which the other shards are found"), GgufErrors.Quote(Path.GetFileName(shard.Path)));
        }
    }

    private static GgufShard OpenLater(string path, int index, long count)
    {
        var name = GgufShardNames.Sibling(path, index)!;
        GgufShard shard;
        try
        {
            shard = GgufShard.Open(name);
        }
        catch (FileNotFoundException error)
        {
            throw new GgufException(Text($"{path}: expected shard {index + 1} of {count} beside it, found no file {GgufErrors.Quote(Path.GetFileName(name))}."), error);
        }

        try
        {
            var metadata = shard.Header.Metadata;
            var (number, total) = (metadata.GetInteger(NumberKey), metadata.GetInteger(CountKey));
            return number == index && total == count
                ? shard
                : throw metadata.Error(NumberKey, Text($"shard {index + 1} of {count}, as the name says"), Text($"shard {number + 1} of {total}"));
        }
        catch
        {
            shard.Dispose();
            throw;
        }
    }

    private static void CheckTensors(List<GgufShard> shards)
    {
        var metadata = shards[0].Header.Metadata;
        var total = shards.Sum(static shard => shard.Header.Tensors.Count);
        var expected = metadata.GetInteger(TensorCountKey, total);
        if (total != expected) throw metadata.Error(TensorCountKey, Text($"{expected} tensors in all shards"), Text($"{total}"));
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var shard in shards)
        {
            if (shard.Header.Tensors.Keys.FirstOrDefault(name => !names.Add(name)) is { } twice)
            {
                throw GgufErrors.Create(shard.Path, $"tensor {GgufErrors.Quote(twice)}: expected the name once, found it in an earlier shard too");
            }
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
