using System.Globalization;
using System.Text;
using Sluice.Protocol.Errors;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>What the line of a request says behind its status and time: the model, tokens, the id of the API key, and why it failed.</summary>
internal static class RequestLine
{
    // Of what an upstream says. Longer texts are pages of HTML, or repeat the request.
    private const int WordsLengthMax = 300;

    /// <summary>Empty, or parts that each begin with a comma; a failure is last, behind a colon.</summary>
    public static string Details(RequestScope scope)
    {
        var line = new StringBuilder();
        if (scope.Answer is { } answer)
        {
            line.Append(", ").Append(answer.Model);
            if (answer.Record.Usage is { } usage) line.Append(CultureInfo.InvariantCulture, $", {usage.PromptTokens} + {usage.CompletionTokens} tokens");
        }
        // Owners of keys without an id, and users of an application, have names that nobody would know.
        if (scope.Configuration.Options.ApiKeys.Any(key => key.Id is { } id && id == scope.Caller.Id)) line.Append(", key ").Append(scope.Caller.Id);
        if (scope.Answer?.Log.End is { Kind: StreamEndKind.Failed, Failure: ApiError error }) line.Append(": ").Append(Words(error.Message));
        return line.ToString();
    }

    private static string Words(string message)
    {
        var words = string.Join(' ', message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return words.Length <= WordsLengthMax ? words : words[..WordsLengthMax] + "…";
    }
}
