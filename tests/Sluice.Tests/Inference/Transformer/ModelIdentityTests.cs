using Sluice.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

public sealed class ModelIdentityTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData(0)]
    [InlineData(1_055_000)] // behind the head, in sample 90: from 90 / 256 of 2,996,105 on, which is 1,053,318
    [InlineData(3_000_200)] // the last byte
    public void One_other_byte_at_either_end_is_another_model(int changed)
    {
        var bytes = new byte[3_000_201];
        var before = IdentityOf(bytes);
        Assert.Equal(before, IdentityOf(bytes));

        bytes[changed] = 1;
        Assert.NotEqual(before, IdentityOf(bytes));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(4097)]
    public void Short_files_are_told_apart_by_each_byte(int length)
    {
        var bytes = new byte[length];
        var before = IdentityOf(bytes);
        Assert.NotEqual(before, IdentityOf(new byte[length + 1]));
        if (length == 0) return;
        bytes[^1] = 1;
        Assert.NotEqual(before, IdentityOf(bytes));
    }

    private string IdentityOf(byte[] bytes)
    {
        File.WriteAllBytes(_path, bytes);
        return ModelIdentity.Of(_path);
    }
}
