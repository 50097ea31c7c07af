using System.Net;
using System.Security.Cryptography;

namespace Sluice.Client;

/// <summary>One request of the application, the requests that are made for it, and how often. For one thread at a time.</summary>
internal sealed class Exchange
{
    private const string Path = "/chat/completions";
    private const string KeyName = "Idempotency-Key";
    private const string CursorName = "Last-Event-ID";
    private const int DoublingsMax = 16;
    private static readonly TimeSpan s_pauseMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_cancelMax = TimeSpan.FromSeconds(5);

    private readonly ResumingHandler _handler;
    private readonly HttpRequestMessage _request;
    private readonly byte[] _body;
    private int _attempts;
    private long _since;
    private TimeSpan _retryAfter;

    public Exchange(ResumingHandler handler, HttpRequestMessage request, byte[] body, UnansweredKeys unanswered)
    {
        (_handler, _request, _body) = (handler, request, body);
        Identity = $"{request.RequestUri} {Convert.ToHexString(SHA256.HashData(body))}";
        IsOwnKey = !request.Headers.TryGetValues(KeyName, out var keys);
        Key = keys?.First() ?? unanswered.Take(Identity) ?? Guid.NewGuid().ToString();
        // A close means no when nothing else was said; a key of the application's is for the application to end.
        Cancels = IsOwnKey && !request.Headers.Contains("Sluice-On-Disconnect");
        Progress();
    }

    /// <summary>Equal requests have equal ones.</summary>
    public string Identity { get; }

    public string Key { get; }

    /// <summary>Whether the key was made here.</summary>
    public bool IsOwnKey { get; }

    /// <summary>Whether the answer is to end when the application leaves it.</summary>
    public bool Cancels { get; }

    public ResumingHandler Handler => _handler;

    public static bool IsChat(HttpRequestMessage request) =>
        request.Method == HttpMethod.Post && request.Content is not null && request.RequestUri is { IsAbsoluteUri: true } uri && uri.AbsolutePath.EndsWith(Path, StringComparison.Ordinal);

    /// <summary>The id by which a Sluice names its answer; null of any other server.</summary>
    public static string? IdOf(HttpResponseMessage response) => Header(response, "Sluice-Stream-Id");

    /// <summary>The application's request, with the key and the place where to go on.</summary>
    /// <param name="id">Of the stream; null for the first request.</param>
    /// <param name="count">Events that are there.</param>
    public HttpRequestMessage CreateRequest(string? id = null, long count = 0)
    {
        var request = Copy(_request.RequestUri!);
        request.Content = new ByteArrayContent(_body);
        foreach (var (name, values) in _request.Content!.Headers) request.Content.Headers.TryAddWithoutValidation(name, values);
        if (id is not null)
        {
            request.Headers.Remove(CursorName);
            request.Headers.TryAddWithoutValidation(CursorName, FormattableString.Invariant($"{id}:{count}"));
        }
        return request;
    }

    /// <summary>How long to wait for the next attempt; null when there is to be none.</summary>
    public TimeSpan? NextPause()
    {
        var pause = _handler.PauseFirst * Math.Pow(2, int.Min(_attempts, DoublingsMax));
        if (pause > s_pauseMax) pause = s_pauseMax;
        pause *= 0.5 + (RandomNumberGenerator.GetInt32(1000) / 2000.0);
        if (pause < _retryAfter) pause = _retryAfter;
        _retryAfter = TimeSpan.Zero;
        return ++_attempts > _handler.AttemptsMax || _handler.Time.GetElapsedTime(_since) + pause > _handler.TimeMax ? null : pause;
    }

    /// <summary>An event has come: what is tried is counted from here.</summary>
    public void Progress() => (_attempts, _since) = (0, _handler.Time.GetTimestamp());

    /// <summary>True when it is the rest of the same stream, null when that may be had later, false when never.</summary>
    public bool? GoesOn(HttpResponseMessage response, string id)
    {
        if (response.StatusCode == HttpStatusCode.OK)
            return IdOf(response) == id && Header(response, "Sluice-Stream-Attempt") is "joined" or "resumed" or "replayed" or "adopted";
        if ((int)response.StatusCode is not (429 or 500 or 502 or 503 or 504) || Header(response, "x-should-retry") == "false") return false;
        _retryAfter = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - _handler.Time.GetUtcNow(),
            _ => TimeSpan.Zero,
        };
        return null;
    }

    /// <summary>Tells the hub that the answer is not wanted. Whether it arrives is not waited for, nor who answers.</summary>
    public async Task CancelAsync()
    {
        var target = new UriBuilder(_request.RequestUri!) { Query = "" };
        target.Path = target.Path[..^Path.Length] + "/cancel";
        try
        {
            using var time = new CancellationTokenSource(s_cancelMax, _handler.Time);
            using var request = Copy(target.Uri);
            using var response = await _handler.SendInnerAsync(request, time.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The hub gives the answer up by itself, a little later.
        }
    }

    private static string? Header(HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out var values) ? values.First() : null;

    private HttpRequestMessage Copy(Uri target)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, target) { Version = _request.Version, VersionPolicy = _request.VersionPolicy };
        foreach (var (name, values) in _request.Headers.NonValidated) request.Headers.TryAddWithoutValidation(name, values);
        foreach (var option in _request.Options) ((IDictionary<string, object?>)request.Options)[option.Key] = option.Value;
        if (IsOwnKey) request.Headers.TryAddWithoutValidation(KeyName, Key);
        return request;
    }
}
