using Sluice.Protocol.Messages;
using Sluice.Server.Runtime;

namespace Sluice.Server.Configuration;

/// <summary>What an upstream server speaks.</summary>
public enum UpstreamKind
{
    /// <summary>OpenAI's API: vLLM, SGLang, llama-server, Ollama, OpenAI, Mistral, DeepSeek, OpenRouter and many more.</summary>
    OpenAI,

    /// <summary>OpenAI's API as Azure has it.</summary>
    Azure,

    /// <summary>Anthropic's Messages API.</summary>
    Anthropic,

    /// <summary>OpenAI's Responses API.</summary>
    Responses,
}

/// <summary>What becomes of an upstream's work that nobody wants any more.</summary>
public enum AbortPolicy
{
    /// <summary>The request is aborted at once.</summary>
    Cancel,

    /// <summary>The answer is read to its end and thrown away, for providers that bill all of it anyway.</summary>
    Drain,
}

/// <summary>One server that can answer for a model.</summary>
/// <param name="Url">Where its API begins, such as <c>http://gpu-1:8000/v1</c>, or for Azure the resource, such as <c>https://NAME.openai.azure.com</c>: <c>http</c> or <c>https</c>, without query, and without a slash at the end.</param>
public sealed record UpstreamOptions(string Url)
{
    /// <summary>What it speaks. The default value is <see cref="UpstreamKind.OpenAI"/>.</summary>
    public UpstreamKind Kind { get; init; }

    /// <summary>Sent in the header that the kind wants it in; never shown. Null sends none.</summary>
    public string? ApiKey { get; init; }

    /// <summary>The model's name there. The default value, null, is the id of the model.</summary>
    public string? Model { get; init; }

    /// <summary>
    /// Azure's name for the model there, in place of <see cref="Model"/>. Null only where <see cref="Url"/> ends with <c>/openai/v1</c>,
    /// and is the id of the model then.
    /// </summary>
    public string? Deployment { get; init; }

    /// <summary>
    /// The version of the API: Azure's, such as <c>2024-10-21</c>, null only where <see cref="Url"/> ends with <c>/openai/v1</c>; or
    /// Anthropic's, <c>2023-06-01</c> or <c>2026-10-21</c>, the latter where this is null.
    /// </summary>
    public string? ApiVersion { get; init; }

    /// <summary>For Anthropic: most tokens of an answer for clients that state none, at least 1. The default value is 4096.</summary>
    public int DefaultMaxTokens { get; init; } = 4096;

    /// <summary>For Anthropic: what <c>reasoning_effort</c> becomes. The default value is <see cref="ThinkingMode.Adaptive"/>.</summary>
    public ThinkingMode Thinking { get; init; }

    /// <summary>The name under which a limit of tokens is sent, <c>max_tokens</c> or <c>max_completion_tokens</c>. The default value, null, is the client's.</summary>
    public string? MaxTokensParameter { get; init; }

    /// <summary>Its share among neighbours that have one too, above 0; null makes it a tier of its own.</summary>
    public double? Weight { get; init; }

    /// <summary>Sent with every request. The default value is none.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>The default value is <see cref="AbortPolicy.Cancel"/>.</summary>
    public AbortPolicy OnAbort { get; init; }

    /// <summary>
    /// Whether it goes on with an assistant message that ends the conversation when <c>continue_final_message</c> is set, as vLLM, SGLang and
    /// llama-server do. The default value is false.
    /// </summary>
    public bool Continues { get; init; }

    /// <summary>
    /// For applications: takes the requests in place of the network, such as one that authenticates them, or answers within the process. It
    /// is the application's, which disposes it; proxies and <see cref="RouteTimeouts.Connect"/> are its own affair. The default value is null.
    /// </summary>
    public HttpMessageHandler? Handler { get; init; }

    /// <summary>Without the key and the headers' values, which are secrets.</summary>
    public override string ToString() => Url;
}

/// <summary>The servers of one model, and how long and how often they are tried.</summary>
/// <param name="Upstreams">At least one, in the order in which they are tried.</param>
public sealed record ModelRouteOptions(IReadOnlyList<UpstreamOptions> Upstreams)
{
    /// <summary>Further attempts after the first, over all upstreams, 0 to 10. The default value is 2.</summary>
    public int Retries { get; init; } = 2;

    /// <summary>Whether an answer that breaks off is gone on with by another attempt where that is possible. The default value is true.</summary>
    public bool Rescue { get; init; } = true;

    /// <summary>The share of requests, above 0 and at most 1, that may be sent to a second upstream when the first is late. The default value, null, is none.</summary>
    public double? Hedge { get; init; }

    /// <summary>How long is waited.</summary>
    public RouteTimeouts Timeouts { get; init; } = new();
}

/// <summary>How long an upstream may take. Each is above 0.</summary>
public sealed record RouteTimeouts
{
    /// <summary>For the connection. The default value is 5 s.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Until the first content of an answer. It ends an attempt only while another one is left. The default value is 10 s.</summary>
    public TimeSpan FirstToken { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between two pieces of content. Where nothing else is left to try it is at least <see cref="Limits.LastIdle"/>. The default value is 15 s.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>For the whole answer, all attempts together. The default value is 10 min.</summary>
    public TimeSpan Total { get; init; } = TimeSpan.FromMinutes(10);
}
