using System.Diagnostics;
using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sluice.Server.Configuration;
using Sluice.Server.Telemetry;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Sluice.Tests.Server.Routing;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace Sluice.Tests.Server.Telemetry;

/// <summary>The dashboard and the alert rules in <c>deploy/</c> ask for nothing that the hub doesn't measure.</summary>
public sealed partial class DeployedMonitoringTests
{
    // Functions, words and labels of Prometheus itself.
    private static readonly string[] s_own =
        ["sum", "by", "rate", "increase", "max", "count", "vector", "histogram_quantile", "or", "unless", "le", "up", "job", "label_values", "__rate_interval", "model"];

    private static JsonElement Dashboard => JsonDocument.Parse(RepositoryFiles.Read("deploy/grafana/sluice.json")).RootElement;

    private static YamlMappingNode Rules
    {
        get
        {
            var yaml = new YamlStream();
            using var text = new StringReader(RepositoryFiles.Read("deploy/prometheus/sluice.rules.yml"));
            yaml.Load(text);
            return (YamlMappingNode)yaml.Documents[0].RootNode;
        }
    }

    [Fact]
    public async Task Every_metric_and_label_that_is_asked_for_is_there()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-deploy-").FullName;
        Dictionary<string, string> types;
        await using (var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x")))
        await using (var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with
        {
            Store = StoreKind.Sqlite,
            StorePath = Path.Combine(folder, "answers.db"),
            Ledger = new LedgerOptions { Path = Path.Combine(folder, "ledger.db") },
        }))
        {
            var text = await hub.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), TestContext.Current.CancellationToken);
            types = TypeLine().Matches(text).ToDictionary(static match => match.Groups[1].Value, static match => match.Groups[2].Value);
        }
        Directory.Delete(folder, recursive: true);
        var known = types.SelectMany(static type => type.Value == "histogram" ? new[] { $"{type.Key}_bucket", $"{type.Key}_sum", $"{type.Key}_count" } : [type.Key]).ToHashSet();
        var labels = typeof(Tags).GetFields(BindingFlags.Public | BindingFlags.Static).Select(static field => ((string)field.GetRawConstantValue()!).Replace('.', '_')).ToHashSet();
        var asked = Expressions().ToList();
        Assert.True(asked.Count > 30, $"{asked.Count} expressions were found.");
        foreach (var expression in asked)
        {
            var bare = Quoted().Replace(expression, "");
            foreach (var word in Word().Matches(bare).Select(static match => match.Value).Where(static word => !s_own.Contains(word)))
                Assert.True(known.Contains(word) || labels.Contains(word), $"'{word}' of '{expression}' is no metric and no label of the hub.");
            // What counts up is looked at as a rate.
            foreach (var counter in known.Where(name => name.EndsWith("_total", StringComparison.Ordinal) && bare.Contains(name, StringComparison.Ordinal)))
                Assert.Matches($@"(rate|increase)\({counter}", bare);
        }
    }

    [Fact]
    public void The_dashboard_has_the_shape_that_Grafana_imports()
    {
        var dashboard = Dashboard;
        Assert.Equal("Sluice", dashboard.GetProperty("title").GetString());
        Assert.True(dashboard.GetProperty("schemaVersion").GetInt32() >= 36);
        var variables = dashboard.GetProperty("templating").GetProperty("list").EnumerateArray().Select(static variable => variable.GetProperty("name").GetString()).ToList();
        Assert.Equal(["datasource", "model"], variables);
        var panels = dashboard.GetProperty("panels").EnumerateArray().ToList();
        Assert.Equal(panels.Count, panels.Select(static panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        var taken = new HashSet<(int, int)>();
        foreach (var panel in panels)
        {
            Assert.Contains(panel.GetProperty("type").GetString(), (string[])["timeseries", "stat"]);
            Assert.False(string.IsNullOrWhiteSpace(panel.GetProperty("title").GetString()));
            Assert.Equal("${datasource}", panel.GetProperty("datasource").GetProperty("uid").GetString());
            var grid = panel.GetProperty("gridPos");
            var (x, y, w, h) = (grid.GetProperty("x").GetInt32(), grid.GetProperty("y").GetInt32(), grid.GetProperty("w").GetInt32(), grid.GetProperty("h").GetInt32());
            Assert.True(x >= 0 && w > 0 && x + w <= 24 && h > 0);
            for (var column = x; column < x + w; column++)
            {
                for (var row = y; row < y + h; row++) Assert.True(taken.Add((column, row)), $"'{panel.GetProperty("title")}' lies over another panel.");
            }
            var targets = panel.GetProperty("targets").EnumerateArray().ToList();
            Assert.NotEmpty(targets);
            Assert.Equal(targets.Count, targets.Select(static target => target.GetProperty("refId").GetString()).Distinct().Count());
        }
    }

    [Fact]
    public void Every_alert_says_how_grave_it_is_what_is_wrong_and_what_to_do()
    {
        var rules = Rules.Children["groups"].AllNodes.OfType<YamlMappingNode>().Where(static node => node.Children.ContainsKey("alert")).ToList();
        Assert.True(rules.Count >= 8);
        Assert.Equal(rules.Count, rules.Select(static rule => rule["alert"].ToString()).Distinct().Count());
        foreach (var rule in rules)
        {
            Assert.StartsWith("Sluice", rule["alert"].ToString(), StringComparison.Ordinal);
            Assert.Contains(rule["labels"]["severity"].ToString(), (string[])["warning", "critical"]);
            Assert.False(string.IsNullOrWhiteSpace(rule["annotations"]["summary"].ToString()));
            Assert.EndsWith(".", rule["annotations"]["description"].ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Prometheus_itself_accepts_the_rules()
    {
        var promtool = Environment.GetEnvironmentVariable("SLUICE_PROMTOOL") is { Length: > 0 } given ? given : "/usr/bin/promtool";
        // The other tests hold the rules where there is no Prometheus; this one is no gap of theirs.
        if (!File.Exists(promtool)) return;
        using var process = Process.Start(new ProcessStartInfo(promtool, ["check", "rules", RepositoryFiles.FullPath("deploy/prometheus/sluice.rules.yml")]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await output + await errors);
    }

    private static IEnumerable<string> Expressions()
    {
        foreach (var target in Dashboard.GetProperty("panels").EnumerateArray().SelectMany(static panel => panel.GetProperty("targets").EnumerateArray())) yield return target.GetProperty("expr").GetString()!;
        yield return Dashboard.GetProperty("templating").GetProperty("list")[1].GetProperty("query").GetProperty("query").GetString()!;
        foreach (var rule in Rules.AllNodes.OfType<YamlMappingNode>().Where(static node => node.Children.ContainsKey("expr"))) yield return rule["expr"].ToString();
    }

    [GeneratedRegex(@"^# TYPE (\S+) (\S+)$", RegexOptions.Multiline)]
    private static partial Regex TypeLine();

    [GeneratedRegex("\"[^\"]*\"|\\[[^\\]]*\\]")]
    private static partial Regex Quoted();

    [GeneratedRegex("[a-zA-Z_][a-zA-Z0-9_]*")]
    private static partial Regex Word();
}
