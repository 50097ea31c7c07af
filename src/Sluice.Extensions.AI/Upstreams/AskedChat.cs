using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI.Upstreams;

/// <summary>A chat completion that is asked for, as chat clients take it.</summary>
/// <param name="Model">The name under which it is asked.</param>
/// <param name="IsStream">Whether events are asked for.</param>
/// <param name="Messages">The conversation.</param>
/// <param name="Options">All else. The model is left out: the client knows its own.</param>
internal sealed record AskedChat(string Model, bool IsStream, IList<ChatMessage> Messages, ChatOptions Options);
