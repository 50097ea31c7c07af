using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Access;
using Sluice.Server.Serving;

namespace Sluice.Server.Endpoints;

/// <summary>One request: its name, its time, who asks, and the configuration that it is served by from its beginning to its end.</summary>
internal sealed class RequestScope(TimeProvider time, string id, HubSnapshot configuration)
{
    private const string Prefix = "req_";

    /// <summary>Unique; in the response's <c>x-request-id</c> and in the log.</summary>
    public string RequestId { get; } = Prefix + id;

    /// <summary>Unique; the part of <see cref="RequestId"/> that the completion's id has too, so that one word finds every line of the log.</summary>
    public string Id => id;

    public HubSnapshot Configuration => configuration;

    /// <summary>Who asks, once that is known.</summary>
    public Caller Caller { get; set; } = Caller.Everybody;

    /// <summary>What comes before the hub's own paths, as it stands in a URL: nothing, or <c>/prefix</c>.</summary>
    public string Mount { get; init; } = "";

    /// <summary>On the hub's clock.</summary>
    public long Started { get; } = time.GetTimestamp();

    public TimeSpan Elapsed => time.GetElapsedTime(Started);

    /// <summary>Headers are set now, for whatever the response becomes; the time is taken when they go out.</summary>
    public void Attach(HttpResponse response)
    {
        response.Headers["x-request-id"] = RequestId;
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
