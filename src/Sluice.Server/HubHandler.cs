using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Endpoints;

namespace Sluice.Server;

/// <summary>
/// Asks the hub of this process without a connection: an <see cref="HttpClient"/> over it, and so any client of the API, gets what it would
/// get over HTTP, on every door, byte for byte.
/// </summary>
/// <remarks>
/// The host name of a request counts as loopback's; only the path below it matters, such as <c>/v1/chat/completions</c>. Where the hub has
/// keys, a request has to bear one. A response that is disposed before its end is a client that leaves. The application's own middleware,
/// and so its users, are not on the way.
/// </remarks>
/// <param name="services">Of the application, with <see cref="SluiceServer.AddSluice(IServiceCollection, Configuration.SluiceOptions, Models.ModelCatalog, Configuration.EmbeddingOptions?)"/>; it must have started.</param>
public sealed class HubHandler(IServiceProvider services) : HttpMessageHandler
{
    private readonly ApiDispatcher _dispatcher = services.GetRequiredService<ApiDispatcher>();

    /// <inheritdoc/>
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new InProcessExchange(request, services).RunAsync(_dispatcher.InvokeAsync, cancellationToken);
    }
}
