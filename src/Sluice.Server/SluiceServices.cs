using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Server;

/// <summary>A hub that an application sets up in code, without a configuration file.</summary>
public static class SluiceServices
{
    /// <summary>Adds the hub with the models of these options, and those of <see cref="AddSluiceModel"/>.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="options">The configuration; null for the defaults, without any model.</param>
    /// <param name="embedding">What the hub does within the application; null for the defaults.</param>
    /// <exception cref="ConfigurationException">A model's file doesn't exist.</exception>
    public static IServiceCollection AddSluice(this IServiceCollection services, SluiceOptions? options = null, EmbeddingOptions? embedding = null)
    {
        options ??= new SluiceOptions { Models = [] };
        return services.AddSluice(options, ModelCatalog.Create(options), embedding);
    }

    /// <summary>Adds a model to whatever the configuration has, and to every configuration that takes its place while the hub runs.</summary>
    /// <remarks>
    /// Ids and aliases must be none that the configuration has: the hub doesn't start with them, and doesn't take over a configuration that
    /// brings them.
    /// </remarks>
    /// <param name="services">The application's services, with or before <c>AddSluice</c>.</param>
    /// <param name="create">Makes the model, once, from the application's services.</param>
    public static IServiceCollection AddSluiceModel(this IServiceCollection services, Func<IServiceProvider, ModelOptions> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        return services.AddSingleton(new AddedModel(create));
    }

    /// <summary>A model of the application's.</summary>
    /// <param name="Create">Makes it.</param>
    internal sealed record AddedModel(Func<IServiceProvider, ModelOptions> Create);

    /// <summary>What the application has added.</summary>
    internal static IReadOnlyList<ModelEntry> FindAdded(IServiceProvider provider)
    {
        ModelOptions[] models = [.. provider.GetServices<AddedModel>().Select(model => model.Create(provider))];
        return models.Length == 0 ? [] : ModelCatalog.Create(new SluiceOptions { Models = models }).Models;
    }
}
