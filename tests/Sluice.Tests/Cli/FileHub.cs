using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Sluice.Tests.Cli;

/// <summary>A hub with one file, on a loopback port of its own: it redirects to a store as Hugging Face does, and breaks as told.</summary>
internal sealed class FileHub : IAsyncDisposable
{
    public const string FilePath = "/owner/repo/resolve/main/tiny.gguf";

    private readonly WebApplication _app;

    private FileHub(WebApplication app, byte[] content) => (_app, Content) = (app, content);

    public byte[] Content { get; set; }

    public string Sha256 => Convert.ToHexStringLower(SHA256.HashData(Content));

    /// <summary>What the hub says that the file hashes to; null says nothing.</summary>
    public string? StatedSha256 { get; set; }

    /// <summary>Bytes of the body after which the connection is cut; null sends all.</summary>
    public int? CutAfter { get; set; }

    /// <summary>Whether Range is understood.</summary>
    public bool HasRanges { get; set; } = true;

    /// <summary>Status of the first answer, where it isn't a redirect.</summary>
    public int? Status { get; set; }

    /// <summary>Where the first answer redirects to.</summary>
    public string Location { get; set; } = "/store/tiny";

    /// <summary>"path range authorization" of every request.</summary>
    public List<string> Requests { get; } = [];

    /// <summary>Completes when a client has half of a body that isn't going on.</summary>
    public TaskCompletionSource Stalled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool StallsAtCut { get; set; }

    public Uri Address => new(_app.Urls.First());

    public static async Task<FileHub> StartAsync(byte[] content)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var hub = new FileHub(app, content);
        hub.StatedSha256 = hub.Sha256;
        app.Run(hub.AnswerAsync);
        await app.StartAsync();
        return hub;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var request = context.Request;
        lock (Requests)
        {
            Requests.Add($"{request.Path} {request.Headers.Range} {request.Headers.Authorization}".TrimEnd());
        }

        if (request.Path == FilePath)
        {
            if (StatedSha256 is not null)
            {
                context.Response.Headers["X-Linked-Etag"] = $"\"{StatedSha256}\"";
            }

            context.Response.StatusCode = Status ?? 302;
            context.Response.Headers.Location = Location;
            return;
        }

        if (request.Path != "/store/tiny")
        {
            context.Response.StatusCode = 404;
            return;
        }

        // A store names its objects by hashes of its own, which are no hashes of the file.
        context.Response.Headers.ETag = $"\"{new string('0', 64)}\"";
        await SendAsync(context);
    }

    private async Task SendAsync(HttpContext context)
    {
        var from = 0;
        if (HasRanges && context.Request.Headers.Range is [{ } range])
        {
            from = int.Parse(range["bytes=".Length..^1], CultureInfo.InvariantCulture);
            if (from >= Content.Length)
            {
                context.Response.StatusCode = 416;
                context.Response.Headers.ContentRange = $"bytes */{Content.Length}";
                return;
            }

            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{Content.Length - 1}/{Content.Length}";
        }

        context.Response.ContentLength = Content.Length - from;
        var end = CutAfter is { } cut ? Math.Min(Content.Length, from + cut) : Content.Length;
        await context.Response.Body.WriteAsync(Content.AsMemory(from..end));
        await context.Response.Body.FlushAsync();
        if (end < Content.Length && StallsAtCut)
        {
            Stalled.TrySetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        }

        // A body that is shorter than it said makes Kestrel close the connection after the last byte.
    }
}
