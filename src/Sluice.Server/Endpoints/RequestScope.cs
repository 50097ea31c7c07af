using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Sluice.Server.Endpoints;

/// <summary>What every response says about its request.</summary>
internal sealed class RequestScope(TimeProvider time, string requestId)
{
    private readonly long _started = time.GetTimestamp();

    /// <summary>Unique; in the response's <c>x-request-id</c> and in the log.</summary>
    public string RequestId => requestId;

    public TimeSpan Elapsed => time.GetElapsedTime(_started);

    /// <summary>Headers are set now, for whatever the response becomes; the time is taken when they go out.</summary>
    public void Attach(HttpResponse response)
    {
        response.Headers["x-request-id"] = requestId;
        response.Headers["openai-version"] = "2020-10-01";
        response.Headers.XContentTypeOptions = "nosniff";
        response.OnStarting(
            static state =>
            {
                var (headers, scope) = ((IHeaderDictionary, RequestScope))state;
                headers["openai-processing-ms"] = ((long)scope.Elapsed.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
                return Task.CompletedTask;
            },
            (response.Headers, this));
    }
}
