using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using Sluice.Server.Configuration;

namespace Sluice.Cli.Pull;

/// <summary>
/// Brings one GGUF file into a folder. The bytes gather in a file beside the target whose name ends in .part; it stays when the
/// connection breaks, and the next run goes on where it ends. The target appears at once and whole, after the hash was checked.
/// </summary>
/// <param name="http">Must not follow redirects: the hub states the file's hash in the answer that redirects.</param>
/// <param name="token">Sent to <paramref name="endpoint"/> only; null sends none.</param>
/// <param name="endpoint">The hub.</param>
/// <param name="time">For the idle timeout.</param>
internal sealed class ModelDownload(HttpClient http, Uri endpoint, string? token, TimeProvider time)
{
    /// <summary>Downloads, checks and puts the file in place.</summary>
    /// <param name="source">What to bring.</param>
    /// <param name="folder">Made when it doesn't exist.</param>
    /// <param name="report">Called with (bytes on disk, bytes in all or null) as they grow.</param>
    /// <param name="cancellation">Ends the download; the part stays.</param>
    /// <exception cref="CliException">What stood in the way.</exception>
    public async Task<PulledModel> RunAsync(ModelSource source, string folder, Action<long, long?> report, CancellationToken cancellation)
    {
        var target = Path.Combine(folder, source.FileName);
        if (File.Exists(target))
        {
            throw new CliException($"{target} already exists; remove it first to pull it again.");
        }

        Directory.CreateDirectory(folder);
        var part = target + ".part";
        var answer = await RequestAsync(source, File.Exists(part) ? new FileInfo(part).Length : 0, cancellation);
        var expected = source.Sha256 ?? answer.StatedSha256;
        long length;
        string? fault;
        using (answer.Response)
        await using (var file = OpenPart(part))
        {
            await FillAsync(source, answer, file, folder, report, cancellation);
            length = file.Length;
            fault = await FindFaultAsync(source, file, expected, cancellation);
            file.Flush(flushToDisk: true);
        }

        if (fault is not null)
        {
            File.Delete(part);
            throw new CliException(fault);
        }

        File.Move(part, target, overwrite: false);
        return new(target, length, expected is not null);
    }

    private static FileStream OpenPart(string part)
    {
        try
        {
            return new FileStream(part, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, FileOptions.Asynchronous);
        }
        catch (IOException exception)
        {
            throw new CliException($"{part} is in use; is the same model being pulled already?", exception);
        }
    }

    /// <summary>Asks for what is missing. Without a hash that would catch a changed file, a part isn't trusted and the file starts over.</summary>
    private async Task<Answer> RequestAsync(ModelSource source, long offset, CancellationToken cancellation)
    {
        var answer = await FollowAsync(source, offset, cancellation);
        var range = answer.Response.Content.Headers.ContentRange;
        var hasHash = (source.Sha256 ?? answer.StatedSha256) is not null;
        if (answer.Response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable && hasHash && range?.Length == offset)
        {
            return answer with { Offset = offset, IsComplete = true };
        }

        if (answer.Response.StatusCode == HttpStatusCode.PartialContent && hasHash && range?.From == offset)
        {
            return answer with { Offset = offset };
        }

        if (answer.Response.StatusCode != HttpStatusCode.OK)
        {
            answer.Response.Dispose();
            answer = await FollowAsync(source, 0, cancellation);
            if (answer.Response.StatusCode != HttpStatusCode.OK)
            {
                using (answer.Response)
                {
                    throw Refusal(source, answer.Response.StatusCode);
                }
            }
        }

        return answer;
    }

    private async Task<Answer> FollowAsync(ModelSource source, long offset, CancellationToken cancellation)
    {
        var url = source.Url;
        string? stated = null;
        for (var hop = 0; hop <= PullLimits.RedirectsMax; hop++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.AcceptEncoding.ParseAdd("identity");
            request.Headers.Range = offset > 0 ? new RangeHeaderValue(offset, null) : null;
            if (token is not null && url.Scheme == endpoint.Scheme && url.Authority == endpoint.Authority)
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }

            var response = await SendAsync(request, url, cancellation);
            stated ??= StatedSha256(response, isFirst: hop == 0);
            if (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent or HttpStatusCode.RequestedRangeNotSatisfiable)
            {
                return new(response, stated);
            }

            using (response)
            {
                if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location)
                {
                    throw Refusal(source, response.StatusCode);
                }

                var next = new Uri(url, location);
                if (next.Scheme is not ("http" or "https") || (url.Scheme == "https" && next.Scheme != "https"))
                {
                    throw new CliException($"{url.Host} redirects to {next.GetLeftPart(UriPartial.Authority)}, which isn't safe to follow.");
                }

                url = next;
            }
        }

        throw new CliException($"{source.Url.Host} redirects in a circle.");
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, Uri url, CancellationToken cancellation)
    {
        using var idle = new IdleTimeout(time, cancellation);
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, idle.Token);
        }
        catch (HttpRequestException exception)
        {
            throw new CliException($"{url.Authority} can't be reached ({exception.Message.TrimEnd('.')}); is there a network?", exception);
        }
        catch (OperationCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            throw new CliException($"{url.Authority} doesn't respond; is there a network?", exception);
        }
    }

    /// <summary>
    /// The hash that the hub keeps the file under. A plain ETag counts only in the first answer: further on it belongs to a store that
    /// names its objects in its own way.
    /// </summary>
    private static string? StatedSha256(HttpResponseMessage response, bool isFirst)
    {
        var tag = response.Headers.TryGetValues("X-Linked-Etag", out var linked) ? linked.First()
            : isFirst ? response.Headers.ETag?.Tag
            : null;
        tag = tag?.Trim('"');
        return tag is { Length: 64 } && tag.All(char.IsAsciiHexDigit) ? tag.ToLowerInvariant() : null;
    }

    private async Task FillAsync(
        ModelSource source, Answer answer, FileStream file, string folder, Action<long, long?> report, CancellationToken cancellation)
    {
        file.SetLength(answer.Offset);
        file.Position = answer.Offset;
        if (answer.IsComplete)
        {
            return;
        }

        var total = answer.Offset + answer.Response.Content.Headers.ContentLength;
        RequireSpace(folder, total - answer.Offset);
        using var body = await answer.Response.Content.ReadAsStreamAsync(cancellation);
        var buffer = new byte[PullLimits.BufferBytes];
        while (true)
        {
            report(file.Position, total);
            var count = await ReadAsync(body, buffer, cancellation);
            if (count > 0)
            {
                await file.WriteAsync(buffer.AsMemory(0, count), cancellation);
            }
            else if (count == 0 && (total is null || file.Position == total))
            {
                return;
            }
            else
            {
                var of = total is { } all ? $" of {ByteSize.Format(all)}" : "";
                throw new CliException($"The download of {source.FileName} broke off after {ByteSize.Format(file.Position)}{of}; run the command again to resume it.");
            }
        }
    }

    /// <summary>Bytes read, 0 at the end, -1 when the connection broke or stands still.</summary>
    private async Task<int> ReadAsync(Stream body, byte[] buffer, CancellationToken cancellation)
    {
        using var idle = new IdleTimeout(time, cancellation);
        try
        {
            return await body.ReadAsync(buffer, idle.Token);
        }
        catch (IOException)
        {
            return -1;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return -1;
        }
    }

    private static void RequireSpace(string folder, long? missing)
    {
        var free = new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
        if (missing > free - PullLimits.FreeBytesMin)
        {
            throw new CliException($"{folder} has {ByteSize.Format(free)} free, and {ByteSize.Format(missing.Value)} are still missing.");
        }
    }

    private static async Task<string?> FindFaultAsync(ModelSource source, FileStream file, string? expected, CancellationToken cancellation)
    {
        var magic = new byte[4];
        file.Position = 0;
        if (await file.ReadAtLeastAsync(magic, magic.Length, throwOnEndOfStream: false, cancellation) < magic.Length || !magic.AsSpan().SequenceEqual("GGUF"u8))
        {
            return $"{source.Url} is not a GGUF file; the download was removed.";
        }

        file.Position = 0;
        var actual = expected is null ? null : Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellation));
        return actual == expected ? null : $"{source.FileName} has the SHA-256 {actual}, expected {expected}; the download was removed.";
    }

    private static CliException Refusal(ModelSource source, HttpStatusCode status) => new((int)status switch
    {
        404 => $"There is no {source.FileName} at {source.Url}.",
        401 or 403 => $"{source.Url} is not public; set HF_TOKEN to a token that can read it.",
        429 => $"{source.Url.Host} reports too many requests; try again later.",
        var code => $"{source.Url} returned status {code}.",
    });

    /// <param name="Response">Its body hasn't been read.</param>
    /// <param name="StatedSha256">What the server says that the whole file hashes to.</param>
    /// <param name="Offset">Where in the file the body begins.</param>
    /// <param name="IsComplete">The part on disk is the whole file already.</param>
    private sealed record Answer(HttpResponseMessage Response, string? StatedSha256, long Offset = 0, bool IsComplete = false);

    /// <summary>Cancelled when the caller cancels or when nothing came for too long.</summary>
    private sealed class IdleTimeout : IDisposable
    {
        private readonly CancellationTokenSource _timer;
        private readonly CancellationTokenSource _linked;

        public IdleTimeout(TimeProvider time, CancellationToken cancellation)
        {
            _timer = new CancellationTokenSource(TimeSpan.FromSeconds(PullLimits.IdleSeconds), time);
            _linked = CancellationTokenSource.CreateLinkedTokenSource(_timer.Token, cancellation);
        }

        public CancellationToken Token => _linked.Token;

        public void Dispose()
        {
            _linked.Dispose();
            _timer.Dispose();
        }
    }
}

/// <summary>A file that is in place.</summary>
/// <param name="Path">Full or relative, as the folder was given.</param>
/// <param name="SizeBytes">Its length.</param>
/// <param name="IsChecked">Its hash was known and agrees.</param>
internal sealed record PulledModel(string Path, long SizeBytes, bool IsChecked);
