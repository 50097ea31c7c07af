namespace Sluice.Protocol.Errors;

/// <content>The errors about answers that are kept. None of them gets better by a retry, but the last.</content>
public static partial class ApiErrors
{
    /// <summary>400: a header has a value that it can't have.</summary>
    /// <param name="name">The header.</param>
    /// <param name="expected">What it must be, as the end of a sentence.</param>
    public static ApiError InvalidHeader(string name, string expected) =>
        Final(400, $"The header {name} must be {expected}.", "invalid_header");

    /// <summary>400: a cursor that no event of the stream has.</summary>
    public static ApiError InvalidCursor(string reason) => Final(400, reason, "invalid_cursor");

    /// <summary>404: no such answer, or somebody else's: which of the two is not told.</summary>
    public static ApiError CompletionNotFound(string id) => Final(404, $"No completion '{Elide(id)}' is known here.", "completion_not_found");

    /// <summary>410: the answer was kept for as long as answers are.</summary>
    public static ApiError StreamExpired() => Final(410, "This completion is no longer kept. Please make the request again.", "stream_expired");

    /// <summary>410: the beginning of a long answer is no longer kept.</summary>
    public static ApiError EventsDropped() => Final(410, "The answer is longer than the part that is kept, and the events after this cursor are gone.", "events_dropped");

    /// <summary><see cref="ApiError.Code"/> of <see cref="StreamLost"/>.</summary>
    public const string StreamLostCode = "stream_lost";

    /// <summary>410: the server ended in the middle of the answer, and what it was made by can't go on with it.</summary>
    public static ApiError StreamLost() => Final(410, "The server stopped in the middle of this answer, and the rest is lost. Please make the request again.", StreamLostCode);

    /// <summary>503: nobody can read the completion any more, but it could not be taken out of the store yet.</summary>
    public static ApiError NotDeletedYet() => Unavailable(TimeSpan.FromSeconds(1)) with
    {
        Message = "Nobody can read this completion any more, but the store of answers can't be written now; the completion is removed from the store as soon as it works again.",
        Code = "store_unavailable",
    };

    /// <summary>409: the cursor is ahead of the stream, so it can't be of this stream.</summary>
    public static ApiError StreamDiverged() => Final(409, "The cursor is ahead of the stream, so it can't belong to it.", "stream_diverged");

    /// <summary>409: a suspended answer can't be gone on with as it began.</summary>
    public static ApiError ContinuationDiverged() =>
        Final(409, "This answer can't be continued: the model has changed since it began. The part already generated can still be read; please make the request again.", "stream_diverged");

    /// <summary>409: the answer was cancelled, and a request with its key has nothing left to ask for.</summary>
    public static ApiError GenerationCancelled() => Final(409, "The generation with this key was cancelled.", "generation_cancelled");

    /// <summary>422: the key belongs to another request.</summary>
    public static ApiError KeyReused() => Final(422, "This Idempotency-Key was used for another request. Use a key once for each request.", "idempotency_key_reuse");

    /// <summary>422: the cursor's stream answers another request.</summary>
    public static ApiError RequestMismatch() => Final(422, "This cursor belongs to the stream of another request.", "request_mismatch");

    /// <summary>429: an answer is read by too many at a time.</summary>
    public static ApiError TooManyReaders() => new(429, "Too many connections already read this completion.", InvalidRequestType, null, "too_many_readers")
    {
        RetryAfter = TimeSpan.FromSeconds(1),
    };

    private static ApiError Final(int status, string message, string code) => new(status, message, InvalidRequestType, null, code) { ShouldRetry = false };
}
