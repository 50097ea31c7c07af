using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.Tests.Server.Configuration;

/// <summary>The schema for editors and the reader of configurations say the same.</summary>
/// <remarks>A key that is new needs its line in the schema; a mapping that is new needs its line in <see cref="Mappings"/>.</remarks>
public sealed partial class ConfigurationSchemaTests
{
    private static readonly JsonObject s_schema = JsonNode.Parse(RepositoryFiles.Read("docs/sluice.schema.json"))!.AsObject();
    private static readonly JsonSchemaValidator s_validator = new(s_schema);

    /// <summary>Where an unknown key brings the reader to list the known ones, and where the schema has them.</summary>
    public static TheoryData<string, string> Mappings => new()
    {
        { "\"?\": 1", "properties" },
        { "api_keys: [{\"?\": 1}]", "$defs/owned_key/properties" },
        { "models: [{\"?\": 1}]", "$defs/model/properties" },
        { "models: [{id: a, gguf: a, defaults: {\"?\": 1}}]", "$defs/defaults/properties" },
        { "models: [{id: a, upstreams: [{\"?\": 1}]}]", "$defs/upstream/properties" },
        { "hooks: {\"?\": 1}", "properties/hooks/properties" },
        { "hooks: {before: {\"?\": 1}}", "properties/hooks/properties/before/properties" },
        { "hooks: {after: {\"?\": 1}}", "properties/hooks/properties/after/properties" },
        { "models: [{id: a, upstreams: [{url: http://a}], timeouts: {\"?\": 1}}]", "$defs/timeouts/properties" },
    };

    /// <summary>Where a word that is none of the choices brings the reader to list them, and where the schema has them.</summary>
    public static TheoryData<string, string> Choices => new()
    {
        { "store: none-of-them", "properties/store/enum" },
        { "hooks: {before: {url: http://a, on_failure: none-of-them}}", "properties/hooks/properties/before/properties/on_failure/enum" },
        { "models: [{id: a, gguf: a, store: none-of-them}]", "$defs/model/properties/store/enum" },
        { "models: [{id: a, upstreams: [{url: http://a, kind: none-of-them}]}]", "$defs/upstream/properties/kind/enum" },
        { "models: [{id: a, upstreams: [{url: http://a, on_abort: none-of-them}]}]", "$defs/upstream/properties/on_abort/enum" },
        { "models: [{id: a, upstreams: [{url: http://a/v1, kind: anthropic, thinking: none-of-them}]}]", "$defs/upstream/properties/thinking/enum" },
        { "models: [{id: a, upstreams: [{url: http://a, max_tokens_parameter: none-of-them}]}]", "$defs/upstream/properties/max_tokens_parameter/enum" },
    };

    /// <summary>Errors that depend on more than the value: other values, files, variables.</summary>
    private static readonly string[] s_beyondASchema =
    [
        "is already used in line",
        "a key has one id",
        "environment variable",
        "is empty",
        "up to 1m",
        "needs at least",
        "is not a model of this configuration",
        "can't be its own fallback",
    ];

    [Theory]
    [MemberData(nameof(Mappings))]
    public void Every_key_of_the_reader_is_in_the_schema_and_the_other_way_round(string yaml, string place) =>
        Assert.Equal(AllowedHere(yaml), Find(place).AsObject().Select(property => property.Key).Order());

    [Theory]
    [MemberData(nameof(Choices))]
    public void Every_choice_of_the_reader_is_in_the_schema_and_the_other_way_round(string yaml, string place) =>
        Assert.Equal(AllowedHere(yaml), Find(place).AsArray().Select(choice => choice!.GetValue<string>()).Order());

    [Fact]
    public void Every_key_is_described() => Assert.All(Mappings.Select(mapping => mapping.Data.Item2), place =>
        Assert.All(Find(place).AsObject(), property => Assert.False(string.IsNullOrEmpty(property.Value!["description"]?.GetValue<string>()), property.Key)));

    [Fact]
    public void Every_example_and_document_is_valid()
    {
        var documents = RepositoryFiles.WithExtension(".md").SelectMany(path => YamlBlock().Matches(RepositoryFiles.Read(path)).Select(match => (path, match.Groups[1].Value)));
        var examples = RepositoryFiles.WithExtension(".yaml", "examples/").Select(path => (path, RepositoryFiles.Read(path))).ToList();
        Assert.NotEmpty(examples);
        Assert.All(documents.Concat(examples), file => Assert.Empty(s_validator.Validate(ToJson(file.Item2)).Select(error => $"{file.path}{error}")));
    }

    [Fact]
    public void Every_value_in_every_form_is_valid() => Assert.Empty(s_validator.Validate(ToJson("""
        listen: ["http://0.0.0.0:8080", "h2c://[::1]:8081", localhost:0, "*:80", "${LISTEN:-http://127.0.0.1:1}"]
        api_keys: [sk-1, "${KEY}", "a$b", "x${KEY:-y z}", {id: team-red, key: sk-2}, {id: "${TEAM}", key: "${KEY}"}]
        allowed_hosts: [hub.example.com, 10.0.0.1, "::1", "*"]
        cors_origins: [https://chat.example.com, "http://localhost:3000/", "*"]
        memory_budget: 1.5 GiB
        store: sqlite
        store_path: "${DATA}/answers.db"
        store_size: 500MB
        drain: 1.5m
        stop_delay: 10s
        hooks:
          before: {url: "http://127.0.0.1:9000/check", api_key: k, timeout: 500ms, on_failure: pass}
          after: {url: "https://hooks.example.com/done", timeout: 5s}
        console: off
        models:
          - {id: a, gguf: ./a.gguf, aliases: [b, "${NAME}", "${file:/run/secrets/name}"], store: off, defaults: {temperature: 0, top_p: 0.9, top_k: 40, min_p: "${M}", repetition_penalty: 1.1, max_tokens: 9}, repetition_guard: off, context: 4096, threads: "${T}", keep_alive: 0, cache_type: q8_0}
          - id: c
            upstreams:
              - {url: "http://[::1]:8000", weight: 0.5, model: org/name, headers: {X-Team: red, X-Count: 3}, on_abort: drain, continues: true}
              - {url: "${URL}/v1", kind: openai, api_key: "${KEY}", weight: "${WEIGHT:-2}"}
              - {kind: azure, url: "https://name.openai.azure.com", deployment: d, api_version: 2024-10-21, max_tokens_parameter: max_tokens}
              - {kind: azure, url: "https://name.openai.azure.com/openai/v1"}
              - {kind: responses, url: "https://api.openai.com/v1", model: gpt-x}
              - {kind: anthropic, url: "https://api.anthropic.com/v1", api_version: 2023-06-01, default_max_tokens: 8192, thinking: budget}
            retries: 0
            rescue: off
            hedge: 2.5%
            timeouts: {connect: 500ms, first_token: 1.5s, idle: 2 min, total: 1h}
            fallbacks: [a]
        """)));

    [Fact]
    public void What_the_reader_refuses_the_schema_refuses_where_it_can_know()
    {
        var cases = ErrorCases().ToList();
        Assert.True(cases.Count > 30, "The error cases of the configuration tests were not found.");
        Assert.All(cases, item =>
        {
            if (s_beyondASchema.Any(reason => item.Error.Contains(reason, StringComparison.Ordinal))) return;
            Assert.True(s_validator.Validate(ToJson(item.Yaml)).Count > 0, $"{item.Yaml}\n{item.Error}");
        });
    }

    private static IEnumerable<(string Yaml, string Error)> ErrorCases()
    {
        foreach (var (yaml, error) in InlineData(typeof(ConfigurationFileTests), nameof(ConfigurationFileTests.Parse_SomethingWrong_SaysWhereAndWhatWouldBeRight))) yield return (yaml, error);
        foreach (var (yaml, error) in InlineData(typeof(UpstreamConfigurationTests), nameof(UpstreamConfigurationTests.Something_wrong_has_its_place_and_what_would_be_right)))
            yield return ($"models:\n  - {{id: small, gguf: s.gguf}}\n  - id: a\n    {yaml}\n", error);
        foreach (var (yaml, error) in InlineData(typeof(UpstreamKindConfigurationTests), nameof(UpstreamKindConfigurationTests.Something_wrong_has_its_place_and_what_would_be_right)))
            yield return ($"models:\n  - id: a\n    upstreams:\n      - {yaml}\n", error);
    }

    private static IEnumerable<(string, string)> InlineData(Type type, string method) =>
        type.GetMethod(method)!.GetCustomAttributes<InlineDataAttribute>().Select(data => ((string)data.Data[0]!, (string)data.Data[1]!));

    private static IEnumerable<string> AllowedHere(string yaml)
    {
        var error = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse(yaml, "sluice.yaml", _ => null))
            .Errors.Select(error => error.Message).First(message => message.Contains("allowed here: ", StringComparison.Ordinal));
        return error[(error.IndexOf("allowed here: ", StringComparison.Ordinal) + "allowed here: ".Length)..].Split(", ").Order();
    }

    private static JsonNode Find(string place) => place.Split('/').Aggregate((JsonNode)s_schema, (node, step) => node[step]!);

    // Own keys first; "<<" adds what they don't say.
    private static IEnumerable<KeyValuePair<YamlNode, YamlNode>> Merged(YamlMappingNode mapping) => mapping.Children
        .Where(child => child.Key is not YamlScalarNode { Value: "<<" })
        .Concat(mapping.Children.Where(child => child.Key is YamlScalarNode { Value: "<<" })
            .SelectMany(child => child.Value is YamlSequenceNode several ? several.Children : [child.Value]).OfType<YamlMappingNode>().SelectMany(Merged))
        .DistinctBy(child => child.Key);

    // As an editor reads YAML: plain words that look like numbers are numbers.
    private static JsonNode? ToJson(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return ToJson(stream.Documents[0].RootNode);
    }

    private static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMappingNode mapping => new JsonObject(Merged(mapping).Select(child => KeyValuePair.Create(((YamlScalarNode)child.Key).Value!, ToJson(child.Value)))),
        YamlSequenceNode sequence => new JsonArray([.. sequence.Children.Select(ToJson)]),
        YamlScalarNode { Style: not ScalarStyle.Plain } quoted => JsonValue.Create(quoted.Value),
        YamlScalarNode { Value: null or "" or "~" or "null" } => null,
        YamlScalarNode { Value: "true" or "false" } flag => JsonValue.Create(flag.Value == "true"),
        YamlScalarNode plain when double.TryParse(plain.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => JsonValue.Create(number),
        YamlScalarNode plain => JsonValue.Create(plain.Value),
        _ => throw new NotSupportedException($"{node.NodeType}"),
    };

    [GeneratedRegex(@"^```yaml\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex YamlBlock();
}
