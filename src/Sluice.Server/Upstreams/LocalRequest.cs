using Sluice.Protocol.Chat;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Upstreams;

/// <summary>What the local engine is asked, by whatever door it came: a conversation, or texts that go on. Exactly one of them is there.</summary>
/// <param name="Chat">The conversation.</param>
/// <param name="Texts">The texts.</param>
internal sealed record LocalRequest(ChatCompletionRequest? Chat, CompletionRequest? Texts)
{
    /// <summary>Null leaves it to the hub.</summary>
    public long? Seed => Chat is null ? Texts!.Seed : Chat.Seed;

    /// <summary>The 400 for what the local engine cannot do; null when it can serve the request.</summary>
    public ApiError? FindRefusal() => Chat is null ? Texts!.FindLocalRefusal() : Chat.FindLocalRefusal();
}
