using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Extensions.AI.Upstreams;
using Sluice.Server;
using Sluice.Server.Configuration;

namespace Sluice.Extensions.AI;

/// <summary>Chat clients behind the hub of an application, and in front of it.</summary>
public static class SluiceChatClientServices
{
    /// <summary>
    /// Adds a model that a chat client answers, with everything the hub promises: every door, keys, resumption, joins, timeouts, retries. The
    /// client stays the application's.
    /// </summary>
    /// <param name="services">The application's services, with or before <c>AddSluice</c>.</param>
    /// <param name="id">The model's id, which the configuration must not have.</param>
    /// <param name="client">Answers; any number of requests at a time.</param>
    /// <param name="configure">Changes the model: aliases, fallbacks, timeouts; null for nothing.</param>
    public static IServiceCollection AddChatClient(
        this IServiceCollection services, string id, IChatClient client, Func<ModelOptions, ModelOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        return services.AddChatClient(id, _ => client, configure);
    }

    /// <summary>The same with a client from the application's services.</summary>
    /// <param name="services">The application's services, with or before <c>AddSluice</c>.</param>
    /// <param name="id">The model's id, which the configuration must not have.</param>
    /// <param name="create">Gives the client, once.</param>
    /// <param name="configure">Changes the model: aliases, fallbacks, timeouts; null for nothing.</param>
    public static IServiceCollection AddChatClient(
        this IServiceCollection services, string id, Func<IServiceProvider, IChatClient> create, Func<ModelOptions, ModelOptions>? configure = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(id);
        ArgumentNullException.ThrowIfNull(create);
        return services.AddSluiceModel(provider =>
        {
            var handler = new ChatClientHandler(create(provider), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ChatClientHandler>>());
            // A name for logs and metrics; nobody looks it up.
            var upstream = new UpstreamOptions($"http://{Uri.EscapeDataString(id)}.chat-client.invalid/v1") { Handler = handler };
            var model = new ModelOptions(id, Gguf: null) { Route = new ModelRouteOptions([upstream]) };
            return configure?.Invoke(model) ?? model;
        });
    }

    /// <summary>Registers a chat client of the application over a model of its hub.</summary>
    /// <param name="services">The application's services, with <c>AddSluice</c>.</param>
    /// <param name="model">The hub's name of the model.</param>
    public static IServiceCollection AddSluiceChatClient(this IServiceCollection services, string model) =>
        services.AddSingleton<IChatClient>(provider => new SluiceChatClient(provider, model));
}
