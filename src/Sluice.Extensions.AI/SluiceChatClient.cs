using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Sluice.Server.Configuration;

namespace Sluice.Extensions.AI;

/// <summary>
/// A chat client over a model of Sluice: a GGUF file that runs in this process, a hub of this application, or a hub elsewhere. Thread-safe.
/// </summary>
/// <remarks>
/// Answers are streamed token by token; an enumeration that is left ends the generation. Tools, schemas, usage and reasoning go both ways.
/// Members of <see cref="ChatOptions.AdditionalProperties"/> go into the request as they are, for what the API of the hub has beyond
/// <see cref="ChatOptions"/>. A request that is refused is an <see cref="HttpRequestException"/> with the status and the words of the hub.
/// </remarks>
public sealed class SluiceChatClient : IChatClient
{
    private readonly HubConnection _hub;
    private readonly ChatClientMetadata _metadata;

    /// <summary>Runs a model file in this process. It loads in the background; the first answer waits for it.</summary>
    /// <param name="path">A GGUF file that generates text.</param>
    /// <param name="loggers">Told of what the engine has to say; null for nobody.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public SluiceChatClient(string path, ILoggerFactory? loggers = null)
        : this(HubConnection.Open(path, loggers))
    {
    }

    /// <summary>Runs a model file in this process, with settings of its own.</summary>
    /// <param name="model">The file, its id, and what holds for requests that leave it out.</param>
    /// <param name="loggers">Told of what the engine has to say; null for nobody.</param>
    /// <exception cref="ConfigurationException">There is no such file.</exception>
    public SluiceChatClient(ModelOptions model, ILoggerFactory? loggers = null)
        : this(HubConnection.Open(model, loggers))
    {
    }

    /// <summary>Asks a hub over HTTP.</summary>
    /// <param name="http">
    /// Stays the caller's. Its base address is the hub's, with or without <c>/v1</c>; its default headers bear the API key, where there is
    /// one. With a <c>ResumingHandler</c> of <c>Sluice.Client</c> answers outlive their connection.
    /// </param>
    /// <param name="model">The hub's name of the model.</param>
    public SluiceChatClient(HttpClient http, string model)
        : this(new HubConnection(http, model))
    {
    }

    /// <summary>Asks the hub of this application.</summary>
    /// <param name="services">Of the application, which has started.</param>
    /// <param name="model">The hub's name of the model.</param>
    public SluiceChatClient(IServiceProvider services, string model)
        : this(HubConnection.Of(services, model))
    {
    }

    private SluiceChatClient(HubConnection hub)
    {
        _hub = hub;
        _metadata = new ChatClientMetadata("sluice", hub.Address, hub.Model);
    }

    /// <inheritdoc/>
    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        var body = ChatRequestWriter.Write(messages, options, _hub.Model);
        using var response = await _hub.PostAsync("chat/completions", body, cancellationToken).ConfigureAwait(false);
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var reader = new ChatUpdateReader();
        var events = SseParser.Create(stream, static (_, data) => data.SequenceEqual("[DONE]"u8) ? null : JsonDocument.Parse(data.ToArray()));
        await foreach (var item in events.EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            if (item.Data is not { } document)
            {
                reader.SetDone();
                break;
            }
            using (document)
            {
                if (reader.Read(document.RootElement) is { } update) yield return update;
            }
        }
        if (!reader.IsDone) throw new HttpIOException(HttpRequestError.ResponseEnded, "The answer broke off before its end.");
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        return serviceType == typeof(ChatClientMetadata) ? _metadata : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Unloads a model that runs for this client alone, and ends its answers.</summary>
    public void Dispose() => _hub.Dispose();
}
