using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Models;
using Sluice.Server.Access;
using Sluice.Server.Models;

namespace Sluice.Server.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>. An alias is a model like any other here: it may be asked for.</summary>
internal static class ModelsEndpoint
{
    private const string Owner = "sluice";
    private const int PageMax = 1000;

    public static Task WriteListAsync(HttpContext context, ModelCatalog catalog, Caller caller)
    {
        List<ModelObject> all = [.. catalog.Models.Where(caller.MayUse).SelectMany(model => model.Aliases.Prepend(model.Id), (model, name) => Describe(model, name))];
        var query = context.Request.Query;
        var (first, count, error) = FindPage(query, all);
        if (error is not null) return JsonReply.WriteErrorAsync(context, error);
        var page = all.GetRange(first, count);
        var hasMore = query.ContainsKey("before_id") ? first > 0 : first + count < all.Count;
        // Codex asks with its version, and wants the list in another form.
        var models = query.ContainsKey("client_version") ? page.Select(static (model, index) => new CodexModel(model.Id, index)).ToList() : null;
        return JsonReply.WriteAsync(context, new ModelList(page, hasMore) { Models = models }, ModelJsonContext.Wire.ModelList);
    }

    public static Task WriteModelAsync(HttpContext context, ModelCatalog catalog, Caller caller, string name) =>
        catalog.Find(name) is { } model && caller.MayUse(model)
        ? JsonReply.WriteAsync(context, Describe(model, name), ModelJsonContext.Wire.ModelObject)
        : JsonReply.WriteErrorAsync(context, UnknownModel.Refuse(name, catalog, caller));

    // Anthropic's paging: a number of models, behind one or before one. Without it there is one page.
    private static (int First, int Count, ApiError? Error) FindPage(IQueryCollection query, List<ModelObject> all)
    {
        var limit = int.MaxValue;
        if (query.TryGetValue("limit", out var text)
            && !(int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out limit) && limit is >= 1 and <= PageMax))
        {
            return (0, 0, Invalid("limit", $"limit: must be a number from 1 to {PageMax}"));
        }
        var (first, end) = (0, all.Count);
        if (query.TryGetValue("after_id", out var after) && after.ToString().Length > 0)
        {
            first = all.FindIndex(model => model.Id == after) + 1;
            if (first == 0) return (0, 0, Invalid("after_id", "after_id: no model has this id"));
        }
        if (query.TryGetValue("before_id", out var before) && before.ToString().Length > 0)
        {
            end = all.FindIndex(model => model.Id == before);
            if (end < 0) return (0, 0, Invalid("before_id", "before_id: no model has this id"));
            return (int.Max(first, end - int.Min(limit, end)), int.Min(limit, int.Max(0, end - first)), null);
        }
        return (first, int.Min(limit, end - first), null);
    }

    private static ApiError Invalid(string param, string message) => new(400, message, ApiErrors.InvalidRequestType, param, null);

    private static ModelObject Describe(ModelEntry model, string name) => new(name, model.Modified.ToUnixTimeSeconds(), Owner);
}
