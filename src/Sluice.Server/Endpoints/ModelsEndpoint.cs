using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Models;
using Sluice.Server.Models;

namespace Sluice.Server.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>. An alias is a model like any other here: it may be asked for.</summary>
internal static class ModelsEndpoint
{
    private const string Owner = "sluice";

    public static Task WriteListAsync(HttpContext context, ModelCatalog catalog)
    {
        var models = catalog.Models.SelectMany(model => model.Aliases.Prepend(model.Id), (model, name) => Describe(model, name));
        return JsonReply.WriteAsync(context, new ModelList([.. models]), ModelJsonContext.Wire.ModelList);
    }

    public static Task WriteModelAsync(HttpContext context, ModelCatalog catalog, string name) => catalog.Find(name) is { } model
        ? JsonReply.WriteAsync(context, Describe(model, name), ModelJsonContext.Wire.ModelObject)
        : JsonReply.WriteErrorAsync(context, ApiErrors.ModelNotFound(name));

    private static ModelObject Describe(ModelEntry model, string name) => new(name, model.Modified.ToUnixTimeSeconds(), Owner);
}
