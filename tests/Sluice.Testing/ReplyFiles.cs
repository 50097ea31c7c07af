using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Sluice.Testing;

/// <summary>
/// A server that answers with files: the model "b-001" gets B-001.reply, and B-001.reply.2 the second time; any other gets "hello". A file is a
/// status line, header lines, an empty line and a body; a line ": sleep N" pauses, ": abort" cuts the connection.
/// </summary>
public sealed class ReplyFiles : IAsyncDisposable
{
    private const string Hello = """
        HTTP/1.1 200 OK
        Content-Type: text/event-stream

        data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}]}

        data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

        data: [DONE]


        """;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<string, int> _counts = [];
    private readonly string _folder;
    private readonly Task _accepting;

    public ReplyFiles(string folder)
    {
        _folder = folder;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>How often a model was asked.</summary>
    public int CountOf(string model)
    {
        lock (_counts) return _counts.GetValueOrDefault(model);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Dispose();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested) _ = ServeAsync(await _listener.AcceptTcpClientAsync(_stopping.Token));
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            {
                var stream = client.GetStream();
                while (await ReadRequestAsync(stream) is { } model) if (!await ReplyAsync(client, stream, model)) return;
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The hub has left.
        }
    }

    // The model that is asked; null when the connection ends.
    private async Task<string?> ReadRequestAsync(NetworkStream stream)
    {
        var bytes = new List<byte>();
        var buffer = new byte[8192];
        int headEnd;
        while ((headEnd = IndexOf(bytes, "\r\n\r\n")) < 0)
        {
            var read = await stream.ReadAsync(buffer, _stopping.Token);
            if (read == 0) return null;
            bytes.AddRange(buffer[..read]);
        }
        var head = Encoding.Latin1.GetString([.. bytes[..headEnd]]);
        var lengthLine = head.Split("\r\n").FirstOrDefault(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
        var length = lengthLine is null ? 0 : int.Parse(lengthLine["Content-Length:".Length..], CultureInfo.InvariantCulture);
        while (bytes.Count < headEnd + 4 + length)
        {
            var read = await stream.ReadAsync(buffer, _stopping.Token);
            if (read == 0) return null;
            bytes.AddRange(buffer[..read]);
        }
        using var body = JsonDocument.Parse(bytes.GetRange(headEnd + 4, length).ToArray());
        return body.RootElement.GetProperty("model").GetString()!;
    }

    private static int IndexOf(List<byte> bytes, string text) => Encoding.Latin1.GetString([.. bytes]).IndexOf(text, StringComparison.Ordinal);

    // False when the connection is over.
    private async Task<bool> ReplyAsync(TcpClient client, NetworkStream stream, string model)
    {
        int count;
        lock (_counts) count = _counts[model] = _counts.GetValueOrDefault(model) + 1;
        var name = Path.Combine(_folder, model.Replace("b-", "B-", StringComparison.Ordinal) + ".reply");
        var path = File.Exists($"{name}.{count}") ? $"{name}.{count}" : name;
        var reply = File.Exists(path) ? await File.ReadAllBytesAsync(path, _stopping.Token) : Encoding.UTF8.GetBytes(Hello);
        var end = reply.AsSpan().IndexOf("\n\n"u8);
        var head = Encoding.Latin1.GetString(reply.AsSpan(0, end));
        await stream.WriteAsync(Encoding.Latin1.GetBytes(head.Replace("\n", "\r\n", StringComparison.Ordinal) + "\r\nTransfer-Encoding: chunked\r\n\r\n"), _stopping.Token);
        // Latin-1 keeps every byte.
        var part = new StringBuilder();
        foreach (var line in Encoding.Latin1.GetString(reply.AsSpan(end + 2)).Split('\n'))
        {
            if (line.StartsWith(": sleep ", StringComparison.Ordinal))
            {
                await PutAsync(stream, part);
                await Task.Delay(TimeSpan.FromSeconds(double.Parse(line[": sleep ".Length..], CultureInfo.InvariantCulture)), _stopping.Token);
            }
            else if (line == ": abort")
            {
                await PutAsync(stream, part);
                client.LingerState = new LingerOption(true, 0);
                return false;
            }
            else
            {
                part.Append(line).Append('\n');
            }
        }
        // The last line end is that of splitting.
        part.Length--;
        await PutAsync(stream, part);
        await stream.WriteAsync("0\r\n\r\n"u8.ToArray(), _stopping.Token);
        return !head.Contains("connection: close", StringComparison.OrdinalIgnoreCase);
    }

    private async Task PutAsync(NetworkStream stream, StringBuilder part)
    {
        if (part.Length == 0) return;
        var bytes = Encoding.Latin1.GetBytes(part.ToString());
        part.Clear();
        await stream.WriteAsync(Encoding.Latin1.GetBytes($"{bytes.Length:x}\r\n"), _stopping.Token);
        await stream.WriteAsync(bytes, _stopping.Token);
        await stream.WriteAsync("\r\n"u8.ToArray(), _stopping.Token);
    }
}
