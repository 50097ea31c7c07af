using Sluice.Protocol.Errors;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>The other hubs of a cluster: what this one has not got, one of them may have. Every method may be called from any thread.</summary>
internal interface IOtherHubs
{
    /// <summary>Ids of answers that other hubs have, and this one not.</summary>
    /// <param name="id">Of the answer.</param>
    /// <param name="principals">Of whom it has to be.</param>
    /// <param name="cancellation">Nobody waits any more.</param>
    /// <returns>The answer as far as it can be looked at; or why there is none.</returns>
    Task<(Answer? Answer, ApiError? Error)> FindAsync(string id, IReadOnlyList<string> principals, CancellationToken cancellation);

    /// <summary>The same by the key of the request.</summary>
    Task<(Answer? Answer, ApiError? Error)> FindKeyAsync(string key, IReadOnlyList<string> principals, CancellationToken cancellation);

    /// <summary>Requests with one key take turns here, for as long as what is returned is not disposed.</summary>
    Task<IDisposable> EnterKeyAsync(string principal, string key, CancellationToken cancellation);

    /// <summary>Takes a key for an answer that is to be made here, unless it has an answer already.</summary>
    /// <param name="answer">To be made, with the key.</param>
    /// <param name="body">What is asked.</param>
    /// <param name="frame">What the engine begins from; null where something else may make the answer.</param>
    /// <param name="cancellation">Nobody waits any more.</param>
    /// <returns>The answer that has the key; or why there is none. Neither where the key is taken, or nobody can say.</returns>
    Task<(Answer? Holder, ApiError? Error)> TakeKeyAsync(
        StoredAnswer answer, ReadOnlyMemory<byte> body, ReadOnlyMemory<byte>? frame, CancellationToken cancellation);

    /// <summary>Remembers everywhere that a request with this key is not wanted.</summary>
    /// <returns>The answer that has the key; null where there is none.</returns>
    Task<Answer?> CancelKeyAsync(string key, string principal, CancellationToken cancellation);

    /// <summary>Takes away an answer that another hub has; false when that can't be now.</summary>
    Task<bool> DeleteAsync(Answer answer, CancellationToken cancellation);

    /// <summary>The hub is told to stop: new requests go elsewhere soon, and are served until then.</summary>
    /// <param name="lead">How long.</param>
    /// <param name="cancellation">Waits no longer.</param>
    Task LeadAsync(TimeSpan lead, CancellationToken cancellation);

    /// <summary>Has others go on with what the engine makes here. Whoever reads it here reads on.</summary>
    Task HandOverAsync(CancellationToken cancellation);

    /// <summary>Completes when nobody reads an answer of another hub here, or with the cancellation.</summary>
    Task WhenUnreadAsync(CancellationToken cancellation);

    /// <summary>Ends what is left, and lets go of all answers. After the last commit.</summary>
    Task LeaveAsync(CancellationToken cancellation);
}

/// <summary>The way to the hub that makes an answer which can be read here.</summary>
internal abstract class Following
{
    /// <summary>The word of the API for where the answer stands.</summary>
    public abstract string State { get; }

    /// <summary>Has the answer's events come from now on.</summary>
    /// <param name="configuration">Whose models are used, where this hub goes on with the answer.</param>
    /// <param name="cancellation">Nobody waits any more.</param>
    /// <returns>The answer to read, which may be another object; or why it can't be read.</returns>
    public abstract Task<(Answer? Answer, ApiError? Error)> BeginAsync(HubSnapshot configuration, CancellationToken cancellation);

    /// <summary>What happens here to a cancel: whoever makes the answer is told of a wish for its end, and nobody of anything else.</summary>
    public abstract void Cancel(CancellationCause cause);
}
