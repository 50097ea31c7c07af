namespace Sluice.Protocol.Errors;

/// <content>Refusals of the Responses API.</content>
public static partial class ApiErrors
{
    /// <summary>A 400 for an item of the input.</summary>
    /// <param name="path">Of the item, or <c>input</c>.</param>
    /// <param name="message">A whole sentence; clients look for OpenAI's own words.</param>
    public static ApiError InvalidItem(string path, string message) => Invalid(message, path, code: null);

    /// <summary>A 400 for a parameter that this hub, or this API, does not have.</summary>
    /// <param name="path">Of the parameter.</param>
    /// <param name="reason">Why, and what to do.</param>
    public static ApiError NotInResponses(string path, string reason) =>
        Invalid($"Unsupported parameter: '{path}'; {reason}.", path, "unsupported_parameter");

    /// <summary>A 400 for a value that this hub can't do anything with.</summary>
    /// <param name="path">Of the parameter.</param>
    /// <param name="reason">Why, and what to do.</param>
    public static ApiError ValueNotInResponses(string path, string reason) => Invalid($"Unsupported value: '{path}': {reason}.", path, "unsupported_value");

    /// <summary>404: no response of this caller has the id.</summary>
    public static ApiError ResponseNotFound(string id) =>
        new(404, $"Response with id '{Elide(id)}' not found.", InvalidRequestType, Param: null, Code: null);

    /// <summary>426: the path is asked for over HTTP.</summary>
    public static ApiError NoWebSockets() => new(
        426, "This server does not speak WebSocket here: send the request with POST.", InvalidRequestType, Param: null, "websocket_not_supported");

    /// <summary>A 400 for a response that can't be gone on from.</summary>
    public static ApiError PreviousResponseNotFound(string id) => Invalid(
        $"Previous response with id '{Elide(id)}' not found.", "previous_response_id", "previous_response_not_found");
}
