using System.Text.Json;
using Sluice.Protocol.Models;
using Xunit;

namespace Sluice.Tests.Protocol.Models;

/// <summary>H-05.</summary>
public sealed class ModelListTests
{
    [Fact]
    public void The_list_has_the_documented_shape() => Assert.Equal(
        """{"object":"list","data":[{"id":"mödel/1","object":"model","created":1700000000,"owned_by":"sluice","type":"model","display_name":"mödel/1","created_at":"2023-11-14T22:13:20Z"}],"has_more":false,"first_id":"mödel/1","last_id":"mödel/1"}""",
        JsonSerializer.Serialize(new ModelList([new ModelObject("mödel/1", 1_700_000_000, "sluice")]), ModelJsonContext.Wire.ModelList));

    [Fact]
    public void One_model_has_the_documented_shape() => Assert.Equal(
        """{"id":"m","object":"model","created":1,"owned_by":"sluice","type":"model","display_name":"m","created_at":"1970-01-01T00:00:01Z"}""",
        JsonSerializer.Serialize(new ModelObject("m", 1, "sluice"), ModelJsonContext.Wire.ModelObject));
}
