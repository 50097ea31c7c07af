using Sluice.Inference.Sampling;
using Sluice.Server.Configuration;
using Xunit;

namespace Sluice.Tests.Server.Configuration;

public sealed class ConfigurationFileTests
{
    private static readonly Dictionary<string, string> s_environment = new() { ["KEY"] = "sk-from-env", ["EMPTY"] = "", ["SLUICE_API_KEYS"] = "a, b" };

    private static SluiceOptions Parse(string yaml) => ConfigurationFile.Parse(yaml, "sluice.yaml", name => s_environment.GetValueOrDefault(name));

    private static string ErrorsOf(string yaml) => Assert.Throws<ConfigurationException>(() => Parse(yaml)).Message.ReplaceLineEndings("\n");

    [Fact]
    public void Parse_EveryKey_ReadsIt()
    {
        var options = Parse("""
            listen: [http://0.0.0.0:8080, "h2c://[::1]:8081"]
            api_keys:
              - ${KEY}
              - "${MISSING:-sk-default}-$${x}"
              - {id: team-red, key: sk-red}
              - {id: team-red, key: "${MISSING:-sk-red-2}"}
            allowed_hosts: [hub.example.com]
            cors_origins: [https://chat.example.com/]
            memory_budget: 8GB
            store: sqlite
            store_path: data/answers.db
            store_size: 2GB
            drain: 5m
            stop_delay: 10s
            hooks:
              before: {url: "http://127.0.0.1:9000/check", api_key: "${KEY}", timeout: 500ms, on_failure: pass}
              after: {url: https://hooks.example.com/done}
            models:
              - id: small
                gguf: Small.Q4_1.gguf
                aliases: [gpt-4o-mini, Llama]
                defaults: {temperature: 0.2, top_p: 0.9, top_k: 40, min_p: 0.05, repetition_penalty: 1.1, max_tokens: 512}
                repetition_guard: false
                context: 8192
                threads: 4
                keep_alive: 5m
                cache_type: q8_0
              - id: large
                gguf: /models/large.gguf
                store: off
            console: off
            """);

        Assert.Equal([new ListenAddress("0.0.0.0", 8080), new ListenAddress("::1", 8081, IsHttp2: true)], options.Listen);
        ApiKey[] keys = ["sk-from-env", "sk-default-${x}", new("team-red", "sk-red"), new("team-red", "sk-red-2")];
        Assert.Equal(keys, options.ApiKeys);
        Assert.DoesNotContain("sk-red", options.ApiKeys[2].ToString(), StringComparison.Ordinal);
        Assert.Equal(["hub.example.com"], options.AllowedHosts);
        Assert.Equal(["https://chat.example.com"], options.CorsOrigins);
        Assert.Equal(8_000_000_000, options.MemoryBudgetBytes);
        Assert.Equal(
            (StoreKind.Sqlite, Path.GetFullPath("data/answers.db"), 2_000_000_000L, TimeSpan.FromMinutes(5)),
            (options.Store, options.StorePath, options.StoreSizeBytes!.Value, options.Drain!.Value));
        Assert.Equal(TimeSpan.FromSeconds(10), options.StopDelay);
        Assert.Equal(
            new HookOptions("http://127.0.0.1:9000/check") { ApiKey = "sk-from-env", Timeout = TimeSpan.FromMilliseconds(500), OnFailure = HookFailure.Pass },
            options.Hooks.Before);
        Assert.Equal(new HookOptions("https://hooks.example.com/done"), options.Hooks.After);
        Assert.False(options.Console);
        Assert.True(ConfigurationFile.Parse("{}", "sluice.yaml").Console);
        Assert.Equal([true, false], options.Models!.Select(model => model.KeepsAnswers));
        Assert.Equal(["small", "large"], options.Models!.Select(model => model.Id));
        Assert.Equal(["gpt-4o-mini", "Llama"], options.Models![0].Aliases);
        Assert.Equal(
            new SamplingDefaults { Temperature = 0.2, TopP = 0.9, TopK = 40, MinP = 0.05, RepetitionPenalty = 1.1, MaxTokens = 512 }, options.Models![0].Defaults);
        Assert.Equal((8192, 4, TimeSpan.FromMinutes(5)), (options.Models![0].Context!.Value, options.Models![0].Threads!.Value, options.Models![0].KeepAlive!.Value));
        Assert.Equal((null, null, null), (options.Models![1].Context, options.Models![1].Threads, options.Models![1].KeepAlive));
        Assert.Equal((false, true), (options.Models![0].EndsRepetition, options.Models![1].EndsRepetition));
        Assert.Equal(SamplingDefaults.None, options.Models![1].Defaults);
        Assert.Equal(new SourcePosition("sluice.yaml", 20, 11), options.Models![0].Position);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("listen:\nmodels: null\n")]
    public void Parse_NothingInIt_IsTheDefault(string yaml)
    {
        var options = Parse(yaml);
        Assert.Equal([ListenAddress.Default], options.Listen);
        Assert.Null(options.Models);
        Assert.Equal(["a", "b"], options.ApiKeys);
    }

    [Theory]
    [InlineData("modles: []", "sluice.yaml:1:1: unknown key 'modles'; did you mean 'models'? allowed here: listen, models, api_keys, allowed_hosts, cors_origins, memory_budget, store, store_path, store_size, drain, keys, projects, hub, prices, ledger, content, jwt, admin_listen, admin_keys, console, certificate, cluster, transport, hooks, stop_delay")]
    [InlineData("zzzzzz: 1", "sluice.yaml:1:1: unknown key 'zzzzzz'; allowed here: listen, models, api_keys, allowed_hosts, cors_origins, memory_budget, store, store_path, store_size, drain, keys, projects, hub, prices, ledger, content, jwt, admin_listen, admin_keys, console, certificate, cluster, transport, hooks, stop_delay")]
    [InlineData("models:\n  - {id: a, gguf: a.gguf, alias: [b]}", "sluice.yaml:2:27: unknown key 'alias'; did you mean 'aliases'? allowed here: id, aliases, gguf, upstreams, retries, timeouts, rescue, hedge, fallbacks, store, defaults, repetition_guard, reasoning_hold, cache, cache_sampled, cache_scope, context, threads, keep_alive, cache_type")]
    [InlineData("models:\n  - {id: a, gguf: a, cache_type: q4_0}", "sluice.yaml:2:34: 'q4_0' is not a valid value of 'cache_type'; expected f16 or q8_0")]
    [InlineData("models:\n  - {id: a, gguf: a, defaults: {temperature: 3}}", "sluice.yaml:2:46: '3' is not a valid value of 'temperature'; expected a number from 0 to 2")]
    [InlineData("models:\n  - {id: a, gguf: a, defaults: {top_p: 1.1}}", "sluice.yaml:2:40: '1.1' is not a valid value of 'top_p'; expected a number from 0 to 1")]
    [InlineData("models:\n  - {id: a, gguf: a, defaults: {top_k: -1}}", "sluice.yaml:2:40: '-1' is not a valid value of 'top_k'; expected a whole number from 0 to 1000000")]
    [InlineData("models:\n  - {id: a, gguf: a, defaults: {min_p: x}}", "sluice.yaml:2:40: 'x' is not a valid value of 'min_p'; expected a number from 0 to 1")]
    [InlineData("models:\n  - {id: a, gguf: a, defaults: {repetition_penalty: 0}}", "sluice.yaml:2:53: '0' is not a valid value of 'repetition_penalty'; expected a number above 0, up to 10")]
    [InlineData("models:\n  - {id: a, gguf: a, defaults: {max_tokens: 0}}", "sluice.yaml:2:45: '0' is not a valid value of 'max_tokens'; expected a whole number from 1 to 2147483647")]
    [InlineData("models:\n  - {id: a, gguf: a, defaults: {temprature: 1}}", "sluice.yaml:2:33: unknown key 'temprature'; did you mean 'temperature'? allowed here: temperature, top_p, top_k, min_p, repetition_penalty, max_tokens")]
    [InlineData("models:\n  - {id: a, gguf: a, context: 100}", "sluice.yaml:2:31: '100' is not a valid value of 'context'; expected a whole number from 512 to 268435456")]
    [InlineData("models:\n  - {id: a, gguf: a, threads: 0}", "sluice.yaml:2:31: '0' is not a valid value of 'threads'; expected a whole number from 1 to 1024")]
    [InlineData("models:\n  - {id: a, gguf: a, keep_alive: soon}", "sluice.yaml:2:34: 'soon' is not a valid value of 'keep_alive'; expected a duration such as 5m, 0, or -1 for as long as its memory is not needed")]
    [InlineData("models:\n  - {id: a, gguf: a, repetition_guard: maybe}", "sluice.yaml:2:40: 'maybe' is not a valid value of 'repetition_guard'; allowed here: true, false")]
    [InlineData("models:\n  - {id: a, upstreams: [{url: \"http://a/v1\"}], defaults: {temperature: 1}}", "sluice.yaml:2:48: 'defaults' applies to the local engine, and this model has upstreams")]
    [InlineData("models:\n  - id: a\n    gguf: [x]", "sluice.yaml:3:11: 'gguf' must be text, but this is a list")]
    [InlineData("models:\n  - gguf: a.gguf", "sluice.yaml:2:5: a model has no 'id'")]
    [InlineData("models:\n  - id: a", "sluice.yaml:2:5: a model has neither 'gguf' nor 'upstreams'; it needs one of them")]
    [InlineData("models: a", "sluice.yaml:1:9: 'models' must be a list, but this is text")]
    [InlineData("- a", "sluice.yaml:1:1: the configuration must be a mapping of listen, models, api_keys, allowed_hosts, cors_origins, memory_budget, store, store_path, store_size, drain, keys, projects, hub, prices, ledger, content, jwt, admin_listen, admin_keys, console, certificate, cluster, transport, hooks, stop_delay, but this is a list")]
    [InlineData("models:\n  - {id: a, gguf: a}\n  - {id: b, gguf: b, aliases: [A]}", "sluice.yaml:3:32: the name 'A' is already used in line 2; ids and aliases must be unique, and upper and lower case are the same")]
    [InlineData("certificate: {key: a}", "sluice.yaml:1:14: 'certificate' has no 'path'")]
    [InlineData("listen: http://127.0.0.1:99999", "sluice.yaml:1:9: listen: 'http://127.0.0.1:99999' has the port '99999'; expected a number from 0 to 65535")]
    [InlineData("listen: ftp://a:1", "sluice.yaml:1:9: listen: 'ftp://a:1' has the unknown scheme 'ftp'; expected http://HOST:PORT, such as http://127.0.0.1:7070")]
    [InlineData("api_keys: [\"${NOPE}\"]", "sluice.yaml:1:12: the environment variable 'NOPE' is not set; set it, or give a default with ${NOPE:-default}")]
    [InlineData("api_keys: [\"${KEY\"]", "sluice.yaml:1:12: '${' has no '}'; expected ${NAME}, ${NAME:-default} or ${file:/PATH}, and $$ for a dollar sign")]
    [InlineData("api_keys: [\"${EMPTY}\"]", "sluice.yaml:1:12: an element of 'api_keys' is empty")]
    [InlineData("api_keys: [\"a b\"]", "sluice.yaml:1:12: an API key contains a character that is not allowed in a header; expected visible ASCII without spaces")]
    [InlineData("api_keys: [[a]]", "sluice.yaml:1:12: an element of 'api_keys' must be text, but this is a list")]
    [InlineData("api_keys: [{id: a}]", "sluice.yaml:1:12: an API key has no 'key'")]
    [InlineData("api_keys: [{key: k}]", "sluice.yaml:1:12: an API key has no 'id'")]
    [InlineData(
        "api_keys: [{id: a b, key: k}]",
        "sluice.yaml:1:17: 'a b' is not a valid id; expected 1 to 63 letters, digits, dots, hyphens and underscores")]
    [InlineData(
        "api_keys: [{id: a, key: k l}]",
        "sluice.yaml:1:25: an API key contains a character that is not allowed in a header; expected visible ASCII without spaces")]
    [InlineData("api_keys: [{id: a, name: b, key: k}]", "sluice.yaml:1:20: unknown key 'name'; allowed here: id, key")]
    [InlineData("api_keys:\n  - k\n  - {id: a, key: k}", "sluice.yaml:3:18: this API key stands in line 2 too; a key has one id")]
    [InlineData("memory_budget: lots", "sluice.yaml:1:16: 'lots' is not a valid size; expected a number with a unit, such as 8GB or 512MiB")]
    [InlineData("store: disk", "sluice.yaml:1:8: 'disk' is not a valid store; allowed here: memory, sqlite, off")]
    [InlineData("store_size: 100 kB", "sluice.yaml:1:13: a store needs at least 1MiB")]
    [InlineData("console: maybe", "sluice.yaml:1:10: 'maybe' is not a valid value of 'console'; allowed here: true, false")]
    [InlineData("drain: 5", "sluice.yaml:1:8: '5' is not a valid duration; expected a number with a unit, such as 30s or 5m, up to 24h")]
    [InlineData("stop_delay: 5", "sluice.yaml:1:13: '5' is not a valid duration; expected a number with a unit, such as 30s or 5m, up to 24h")]
    [InlineData("hooks: {before: {timeout: 2s}}", "sluice.yaml:1:17: 'before' has no 'url'")]
    [InlineData("hooks: {before: {url: gpu}}", "sluice.yaml:1:23: 'gpu' is not a valid address of a hook; expected http://HOST:PORT/PATH or https://HOST/PATH, with a key only in 'api_key'")]
    [InlineData("hooks: {after: {url: \"http://u:p@a\"}}", "sluice.yaml:1:22: 'http://u:p@a' is not a valid address of a hook; expected http://HOST:PORT/PATH or https://HOST/PATH, with a key only in 'api_key'")]
    [InlineData("hooks: {before: {url: \"http://a\", timeout: 2m}}", "sluice.yaml:1:44: '2m' is not a valid timeout of a hook; expected a number with a unit, such as 500ms or 2s, up to 1m")]
    [InlineData("hooks: {before: {url: \"http://a\", on_failure: open}}", "sluice.yaml:1:47: 'open' is not a valid value of 'on_failure'; allowed here: refuse, pass")]
    [InlineData("hooks: {after: {url: \"http://a\", on_failure: pass}}", "sluice.yaml:1:34: unknown key 'on_failure'; allowed here: url, api_key, timeout")]
    [InlineData("models:\n  - {id: a, gguf: a.gguf, store: memory}", "sluice.yaml:2:34: 'memory' is not a valid value of a model's 'store'; allowed here: off")]
    [InlineData("allowed_hosts: [\"http://x\"]", "sluice.yaml:1:17: 'http://x' is not a valid host name; expected a name or address without scheme and port, or *")]
    [InlineData("cors_origins: [example.com]", "sluice.yaml:1:16: 'example.com' is not a valid origin; expected SCHEME://HOST or SCHEME://HOST:PORT, or *")]
    public void Parse_SomethingWrong_SaysWhereAndWhatWouldBeRight(string yaml, string error) => Assert.Equal(error, ErrorsOf(yaml));

    [Theory]
    [InlineData("models: [", "sluice.yaml:2:1: not valid YAML")]
    [InlineData("listen: a\nlisten: b", "sluice.yaml:2:1: not valid YAML")]
    [InlineData("a: b: c", "sluice.yaml:1:")]
    public void Parse_BrokenYaml_SaysWhere(string yaml, string start) => Assert.StartsWith(start, ErrorsOf(yaml), StringComparison.Ordinal);

    [Fact]
    public void Parse_SeveralThingsWrong_TellsAllInTheOrderOfTheFile()
    {
        var lines = ErrorsOf("nonsense: 1\nmemory_budget: x\nmodels:\n  - {}\n").Split('\n');
        Assert.Equal(["1:1", "2:16", "4:5", "4:5"], lines.Select(line => string.Join(':', line.Split(':')[1..3])));
    }

    [Theory]
    [InlineData("1.5GB", 1_500_000_000L)]
    [InlineData("512 MiB", 512L << 20)]
    [InlineData("1000", 1000L)]
    [InlineData("0", null)]
    [InlineData("-1GB", null)]
    [InlineData("1XB", null)]
    [InlineData("1e30TB", null)]
    public void ByteSize_ReadsWhatPeopleWrite(string text, long? bytes) => Assert.Equal(bytes, ByteSize.Parse(text));

    [Theory]
    [InlineData("http://127.0.0.1:7070", "http://127.0.0.1:7070", true)]
    [InlineData("127.0.0.1:7070", "http://127.0.0.1:7070", true)]
    [InlineData("http://localhost:1/", "http://localhost:1", true)]
    [InlineData("http://[::1]:80", "http://[::1]:80", true)]
    [InlineData("http://*:80", "http://*:80", false)]
    [InlineData("http://0.0.0.0:80", "http://0.0.0.0:80", false)]
    [InlineData("http://[::]:80", "http://[::]:80", false)]
    [InlineData("http://gpu-1", "http://gpu-1:80", false)]
    [InlineData("http://localhost.example.com:1", "http://localhost.example.com:1", false)]
    public void ListenAddress_KnowsWhatOnlyThisMachineReaches(string text, string normal, bool isLoopback)
    {
        Assert.True(ListenAddress.TryParse(text, out var address, out _));
        Assert.Equal(normal, address.ToString());
        Assert.Equal(isLoopback, address.IsLoopback);
    }
}
