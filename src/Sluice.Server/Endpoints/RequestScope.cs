using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;

namespace Sluice.Server.Endpoints;

/// <summary>One request: its name, its time, who asks, and the configuration that it is served by from its beginning to its end.</summary>
internal sealed class RequestScope(TimeProvider time, RandomSource random, HubSnapshot configuration)
{
    /// <summary>The header that names the request.</summary>
    public const string IdHeader = "x-request-id";

    private const string Prefix = "req_";

    /// <summary>Unique; in the response's <c>x-request-id</c> and in the log.</summary>
    public string RequestId { get; } = NameOf(random.NextId(time.GetUtcNow()));

    /// <summary>Unique, for an answer that is created: nobody can tell it from <see cref="RequestId"/>, which is in many a log.</summary>
    public string NewAnswerId() => random.NextId(time.GetUtcNow());

    public HubSnapshot Configuration => configuration;

    /// <summary>Who asks, once that is known.</summary>
    public Caller Caller { get; set; } = Caller.Everybody;

    /// <summary>What is sent, once that is known; null for a request that gets no answer of a model.</summary>
    public Answer? Answer { get; set; }

    /// <summary>What comes before the hub's own paths, as it stands in a URL: nothing, or <c>/prefix</c>.</summary>
    public string Mount { get; init; } = "";

    /// <summary>On the hub's clock.</summary>
    public long Started { get; } = time.GetTimestamp();

    public TimeSpan Elapsed => time.GetElapsedTime(Started);

    /// <summary>What a request of this id is called, in headers and in the log.</summary>
    public static string NameOf(string id) => Prefix + id;

    /// <summary>Headers are set now, for whatever the response becomes; the time is taken when they go out.</summary>
    public void Attach(HttpResponse response)
    {
        response.Headers[IdHeader] = RequestId;
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
