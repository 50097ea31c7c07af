using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Protocol.Models;

/// <summary>JSON of the records that are small and rare; streams and requests have readers and writers of their own.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ModelObject))]
public sealed partial class ModelJsonContext : JsonSerializerContext
{
    /// <summary>The context to use: text is escaped as little as JSON allows, like everything else on this wire.</summary>
    public static ModelJsonContext Wire { get; } = new(new JsonSerializerOptions
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    });
}
