using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Answers;

/// <summary>A stream that has failed after its headers went out.</summary>
/// <param name="Error">Why.</param>
/// <param name="AnswerId">Of the answer.</param>
/// <param name="RequestId">Names the request in the log.</param>
/// <param name="EventCount">Events that the client has.</param>
public readonly record struct StreamFailure(ApiError Error, string AnswerId, string RequestId, long EventCount);
