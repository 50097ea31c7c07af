using System.Text.Json;
using Sluice.Protocol.Models;
using Xunit;

namespace Sluice.Tests.Protocol.Models;

/// <summary>H-05.</summary>
public sealed class ModelListTests
{
    [Fact]
    public void The_list_has_the_documented_shape() => Assert.Equal(
        """{"object":"list","data":[{"id":"mödel/1","object":"model","created":1700000000,"owned_by":"sluice"}]}""",
        JsonSerializer.Serialize(new ModelList([new ModelObject("mödel/1", 1_700_000_000, "sluice")]), ModelJsonContext.Wire.ModelList));

    [Fact]
    public void One_model_has_the_documented_shape() => Assert.Equal(
        """{"id":"m","object":"model","created":1,"owned_by":"sluice"}""",
        JsonSerializer.Serialize(new ModelObject("m", 1, "sluice"), ModelJsonContext.Wire.ModelObject));
}
