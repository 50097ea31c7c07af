using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>How responses end: in order, early, or with an error.</summary>
internal static class ResponsesEnd
{
    /// <summary>A stream that says that it is over and has not said how.</summary>
    public static ApiError Truncated { get; } =
        new(502, "The model's server ended its answer before it was finished.", ApiErrors.ServerErrorType, null, "upstream_truncated");

    /// <summary>The reason of a response that is complete, or is not.</summary>
    /// <param name="response">The object.</param>
    /// <param name="isIncomplete">Whether it is not.</param>
    public static AnswerFinish Read(JsonElement response, bool isIncomplete)
    {
        if (!isIncomplete) return AnswerEnd.Stop;
        var isFiltered = response.TryGet("incomplete_details"u8, JsonValueKind.Object, out var details)
            && details.TryGet("reason"u8, JsonValueKind.String, out var reason) && reason.ValueEquals("content_filter"u8);
        // All other reasons say that the model would have gone on.
        return isFiltered ? AnswerEnd.ContentFilter : AnswerEnd.Length;
    }

    /// <summary>The error of a response that failed.</summary>
    /// <param name="response">The object.</param>
    public static ApiError ReadFailure(JsonElement response) => response.TryGet("error"u8, JsonValueKind.Object, out var error)
        ? ReadError(error)
        : new ApiError(502, "The model's server could not finish its answer.", ApiErrors.ServerErrorType, null, "upstream_failed");

    /// <summary>The error in an event of the type <c>error</c>, which has its members at the top, or in an object of their own, or both.</summary>
    /// <param name="data">The event's data.</param>
    public static ApiError ReadEvent(JsonElement data) => ReadError(data.TryGet("error"u8, JsonValueKind.Object, out var error) ? error : data);

    private static ApiError ReadError(JsonElement error) => UpstreamError.ReadEvent(error);
}
