using System.Diagnostics;
using System.Globalization;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Server.Cluster;

/// <summary>What is in deploy/, as far as it can be run without a cluster and without a daemon.</summary>
public sealed class DeploymentTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-deploy-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin").Split(':').Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static async Task<(int Code, string Output)> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, await output + await error);
    }

    private static SluiceOptions Check(string text) => ConfigurationFile.Parse(text, "sluice.yaml", static name => name switch
    {
        "SLUICE_PEER_PORT" => "7171",
        "SLUICE_CLUSTER_SECRET" => "0123456789abcdef0123456789abcdef",
        "SLUICE_API_KEYS" => "sk-key-of-these-tests",
        "PGPASSWORD" => "secret",
        "POD_IP" => "10.1.2.3",
        "SLUICE_PEER_HOST" => "hub1",
        _ => null,
    });

    [Theory]
    [InlineData("deploy/compose/sluice.yaml", "http://hub1:7071/")]
    [InlineData("deploy/kustomize/sluice.yaml", "http://10.1.2.3:7071/")]
    [InlineData("deploy/systemd/sluice.yaml", "http://127.0.0.1:7171/")]
    public void Configurations_are_valid(string file, string advertised) =>
        Assert.Equal(advertised, Check(RepositoryFiles.Read(file)).Cluster!.Advertise.ToString());

    [Fact]
    public void The_compose_file_starts_what_its_balancer_asks()
    {
        var compose = RepositoryFiles.Read("deploy/compose/compose.yaml");
        var nginx = RepositoryFiles.Read("deploy/nginx/sluice.conf");
        foreach (var hub in (string[])["hub1", "hub2", "hub3"])
        {
            Assert.Contains($"  {hub}:", compose, StringComparison.Ordinal);
            Assert.Contains($"SLUICE_PEER_HOST: {hub}", compose, StringComparison.Ordinal);
            Assert.Contains($"server {hub}:7070", nginx, StringComparison.Ordinal);
        }
        // The lead, drain, and the rest.
        Assert.Equal(TimeSpan.FromSeconds(60), Check(RepositoryFiles.Read("deploy/compose/sluice.yaml")).Drain);
        Assert.Contains("stop_grace_period: 80s", compose, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_kustomization_renders_and_gives_a_hub_time_to_drain()
    {
        var text = RepositoryFiles.Read("deploy/kustomize/deployment.yaml");
        var drain = Check(RepositoryFiles.Read("deploy/kustomize/sluice.yaml")).Drain!.Value;
        Assert.Contains($"terminationGracePeriodSeconds: {(int)drain.TotalSeconds + 40}", text, StringComparison.Ordinal);
        // Where it isn't, its files are no worse for it.
        if (Find("kubectl") is not { } kubectl) return;
        var (code, output) = await RunAsync(kubectl, "kustomize", RepositoryFiles.FullPath("deploy/kustomize"));
        Assert.Equal(0, code);
        foreach (var kind in (string[])["ConfigMap", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"]) Assert.Contains($"kind: {kind}\n", output, StringComparison.Ordinal);
        Assert.Contains("advertise: \"http://${POD_IP}:7071\"", output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_manifest_of_one_hub_has_a_valid_configuration_and_gives_it_time_to_stop()
    {
        var stream = new YamlDotNet.RepresentationModel.YamlStream();
        stream.Load(new StringReader(RepositoryFiles.Read("deploy/kubernetes/sluice.yaml")));
        var objects = stream.Documents.Select(static document => document.RootNode).ToList();
        Assert.Equal(["ConfigMap", "PersistentVolumeClaim", "Deployment", "Service"], objects.Select(static item => item["kind"].ToString()));
        var options = Check(objects[0]["data"]["sluice.yaml"].ToString());
        var pod = objects[2]["spec"]["template"]["spec"];
        Assert.Equal($"{(int)(options.StopDelay!.Value + options.Drain!.Value).TotalSeconds + 30}", pod["terminationGracePeriodSeconds"].ToString());
        Assert.Contains($"containerPort: {options.Listen[0].Port}", RepositoryFiles.Read("deploy/kubernetes/sluice.yaml"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_unit_is_one_that_systemd_understands()
    {
        if (Find("systemd-analyze") is not { } analyze) return;
        var file = Path.Combine(_folder, "sluice@.service");
        // The program is not installed on the machine of a test.
        await File.WriteAllTextAsync(file, RepositoryFiles.Read("deploy/systemd/sluice@.service").Replace("/usr/local/bin/sluice", "/bin/true", StringComparison.Ordinal), Cancellation);
        var (_, output) = await RunAsync(analyze, "verify", "--man=no", file);
        Assert.DoesNotContain("sluice@.service:", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nginx_spreads_requests_over_three_hubs_and_nobody_notices()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(3);
        if (Find("nginx") is not { } nginx) return;
        var port = PostgresServer.FreePort();
        var site = RepositoryFiles.Read("deploy/nginx/sluice.conf").Replace("listen 7070", string.Create(CultureInfo.InvariantCulture, $"listen 127.0.0.1:{port}"), StringComparison.Ordinal);
        for (var i = 0; i < 3; i++) site = site.Replace($"hub{i + 1}:7070", cluster.Hubs[i].Address.Authority, StringComparison.Ordinal);
        var file = Path.Combine(_folder, "nginx.conf");
        await File.WriteAllTextAsync(
            file, $"pid {_folder}/nginx.pid;\nerror_log stderr;\nuser {Environment.UserName};\nevents {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {_folder}/body;\nproxy_temp_path {_folder}/proxy;\nfastcgi_temp_path {_folder}/f;\nuwsgi_temp_path {_folder}/u;\nscgi_temp_path {_folder}/s;\n{site}\n}}\n", Cancellation);
        using var process = Process.Start(new ProcessStartInfo(nginx, ["-c", file, "-g", "daemon off;"]) { RedirectStandardError = true })!;
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")) };
            await WaitAsync(http);
            var gate = new Gate();
            cluster.Script("go", () => new Script().Say("Hello world").Wait(gate).Say(" one two three"));
            var asking = Enumerable.Range(0, 4).Select(async _ =>
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(ClusterOfHubs.Ask("go"), System.Text.Encoding.UTF8, "application/json") };
                request.Headers.Add("Idempotency-Key", "k");
                using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
                return (response.Headers.GetValues("Sluice-Stream-Id").Single(), await response.Content.ReadAsStringAsync(Cancellation));
            }).ToList();
            await Task.Delay(200, Cancellation);
            gate.Open();
            var answers = await Task.WhenAll(asking);
            Assert.Single(answers.Distinct());
            Assert.Contains("three", answers[0].Item2, StringComparison.Ordinal);
            Assert.EndsWith("data: [DONE]\n\n", answers[0].Item2, StringComparison.Ordinal);
        }
        finally
        {
            // Its workers would live on, with every file that this process has open.
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    private static async Task WaitAsync(HttpClient http)
    {
        while (true)
        {
            try
            {
                await http.GetStringAsync(new Uri("/healthz", UriKind.Relative), Cancellation);
                return;
            }
            catch (HttpRequestException)
            {
                await Task.Delay(20, Cancellation);
            }
        }
    }
}
