using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Sluice.Benchmarks.Relay;

/// <summary>What stands between client and server: nothing, or a process.</summary>
internal sealed class RelayTarget : IAsyncDisposable
{
    private readonly Process? _process;

    private RelayTarget(string name, int port, string headers, Process? process) => (Name, Port, Headers, _process) = (name, port, headers, process);

    public string Name { get; }

    public int Port { get; }

    /// <summary>Of every request, each with its line end.</summary>
    public string Headers { get; }

    public bool IsDirect => _process is null;

    /// <summary>Processor time so far.</summary>
    public TimeSpan Processor
    {
        get
        {
            _process!.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public double Megabytes
    {
        get
        {
            _process!.Refresh();
            return _process.WorkingSet64 / 1e6;
        }
    }

    /// <summary>How often a thread of the process has given its core away, so far; 0 where that can't be seen.</summary>
    public long Waits
    {
        get
        {
            if (!OperatingSystem.IsLinux()) return 0;
            var waits = 0L;
            foreach (var thread in Directory.GetDirectories($"/proc/{_process!.Id}/task"))
            {
                var line = File.ReadLines(Path.Combine(thread, "status")).First(static line => line.StartsWith("voluntary_ctxt", StringComparison.Ordinal));
                waits += long.Parse(line.Split('\t')[1], System.Globalization.CultureInfo.InvariantCulture);
            }
            return waits;
        }
    }

    public static RelayTarget Direct(int upstreamPort) => new("direct", upstreamPort, "", null);

    /// <param name="executable">The program.</param>
    /// <param name="upstreamPort">The model's server.</param>
    /// <param name="folder">For its files.</param>
    /// <param name="store">As in the configuration; its name goes behind the target's, but for the usual one.</param>
    public static async Task<RelayTarget> StartSluiceAsync(string executable, int upstreamPort, string folder, string store = "memory")
    {
        var configuration = Path.Combine(folder, "sluice.yaml");
        await File.WriteAllTextAsync(configuration, $$"""
            store: {{store}}
            {{(store == "sqlite" ? $"store_path: {folder}/{Guid.NewGuid():N}.db" : "")}}
            models:
              - id: bench
                upstreams: [{url: "http://127.0.0.1:{{upstreamPort}}/v1"}]
            """);
        var port = FreePort();
        return await ReadyAsync(new RelayTarget(store == "memory" ? "Sluice" : $"Sluice, store {store}", port, "", Start(executable, "serve", "--config", configuration, "--urls", $"http://127.0.0.1:{port}")));
    }

    public static async Task<RelayTarget> StartNginxAsync(string executable, int upstreamPort, string folder)
    {
        var port = FreePort();
        var configuration = Path.Combine(folder, "nginx.conf");
        await File.WriteAllTextAsync(configuration, $$"""
            daemon off;
            master_process off;
            pid {{folder}}/nginx.pid;
            error_log {{folder}}/error.log;
            events { worker_connections 16384; }
            http {
              access_log off;
              client_body_temp_path {{folder}}/body;
              proxy_temp_path {{folder}}/proxy;
              fastcgi_temp_path {{folder}}/fastcgi;
              uwsgi_temp_path {{folder}}/uwsgi;
              scgi_temp_path {{folder}}/scgi;
              upstream model { server 127.0.0.1:{{upstreamPort}}; keepalive 4096; }
              server {
                listen 127.0.0.1:{{port}} backlog=4096;
                keepalive_requests 1000000;
                location / {
                  proxy_pass http://model;
                  proxy_http_version 1.1;
                  proxy_set_header Connection "";
                  proxy_buffering off;
                  tcp_nodelay on;
                }
              }
            }
            """);
        return await ReadyAsync(new RelayTarget("nginx", port, "", Start(executable, "-p", folder, "-c", configuration)));
    }

    /// <param name="node">A Node that runs it.</param>
    /// <param name="server">Its <c>start-server.js</c>.</param>
    /// <param name="upstreamPort">The model's server.</param>
    public static async Task<RelayTarget> StartPortkeyAsync(string node, string server, int upstreamPort)
    {
        var port = FreePort();
        var headers = $"x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:{upstreamPort}/v1\r\nAuthorization: Bearer bench\r\n";
        return await ReadyAsync(new RelayTarget("Portkey", port, headers, Start(node, server, $"--port={port}", "--headless")));
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is null) return;
        _process.Kill(entireProcessTree: true);
        // Not on this thread, which may be the one that brings the end of the process's output.
        await Task.Run(_process.WaitForExit);
        _process.Dispose();
    }

    private static Process Start(string executable, params string[] arguments)
    {
        var start = new ProcessStartInfo(executable, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        // That is a setting of the measuring process alone.
        start.Environment.Remove(RelayBenchmark.InlineCompletions);
        var process = Process.Start(start)!;
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static async Task<RelayTarget> ReadyAsync(RelayTarget target)
    {
        for (var patience = Stopwatch.StartNew(); ; await Task.Delay(100))
        {
            try
            {
                using var connection = new RelayConnection(target);
                await connection.AskAsync(RelayLoad.First);
                return target;
            }
            catch (SocketException) when (patience.Elapsed < TimeSpan.FromSeconds(30))
            {
                // It starts still.
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
