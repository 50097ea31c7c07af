using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Server.Endpoints;

/// <summary>The error for a model that is not there, with the name that was probably meant.</summary>
internal static class UnknownModel
{
    // Whatever is longer is no slip, and costs time to compare.
    private const int NameLengthMax = 128;

    /// <summary>The 404.</summary>
    /// <param name="name">As the client wrote it.</param>
    /// <param name="catalog">What is there.</param>
    /// <param name="caller">Who learns only of models that are there for it.</param>
    public static ApiError Refuse(string name, ModelCatalog catalog, Caller caller) =>
        ApiErrors.ModelNotFound(name, name.Length > NameLengthMax ? null : FindNear(name, catalog, caller));

    // Clients write the same model with and without its maker: `openai/gpt-x`.
    private static string? FindNear(string name, ModelCatalog catalog, Caller caller)
    {
        string[] names = [.. catalog.Models.Where(caller.MayUse).SelectMany(static model => model.Aliases.Prepend(model.Id))];
        return Suggestion.Find(name, names) ?? Array.Find(names, known => string.Equals(TailOf(known), TailOf(name), StringComparison.OrdinalIgnoreCase));
    }

    private static string TailOf(string name) => name[(name.LastIndexOf('/') + 1)..];
}
