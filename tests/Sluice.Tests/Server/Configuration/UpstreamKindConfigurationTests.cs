using Microsoft.Extensions.Logging;
using Sluice.Protocol.Messages;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Server.Configuration;

/// <summary>The kinds of upstreams, and the keys that only some of them have.</summary>
public sealed class UpstreamKindConfigurationTests
{
    private static UpstreamOptions Parse(string upstream) =>
        ConfigurationFile.Parse($"models:\n  - id: a\n    upstreams:\n      - {upstream}\n", "sluice.yaml", name => name == "KEY" ? "sk-secret" : null).Models![0].Route!.Upstreams[0];

    [Fact]
    public void Keys_of_azure_are_read()
    {
        var upstream = Parse("{kind: azure, url: https://r.openai.azure.com/, deployment: prod gpt, api_version: 2025-04-01-preview, api_key: \"${KEY}\", max_tokens_parameter: max_completion_tokens}");
        Assert.Equal(
            (UpstreamKind.Azure, "https://r.openai.azure.com", "prod gpt", "2025-04-01-preview", "sk-secret", "max_completion_tokens"),
            (upstream.Kind, upstream.Url, upstream.Deployment, upstream.ApiVersion, upstream.ApiKey, upstream.MaxTokensParameter));
    }

    [Fact]
    public void The_surface_without_versions_needs_neither_version_nor_deployment()
    {
        var upstream = Parse("{kind: azure, url: https://r.openai.azure.com/openai/v1/}");
        Assert.Equal((null, null), (upstream.Deployment, upstream.ApiVersion));
    }

    [Fact]
    public void Keys_of_anthropic_are_read_and_have_defaults()
    {
        var upstream = Parse("{kind: anthropic, url: https://api.anthropic.com/v1, model: claude-x, default_max_tokens: 8192, thinking: budget, api_version: 2023-06-01}");
        Assert.Equal(
            (UpstreamKind.Anthropic, "claude-x", 8192, ThinkingMode.Budget, "2023-06-01"),
            (upstream.Kind, upstream.Model, upstream.DefaultMaxTokens, upstream.Thinking, upstream.ApiVersion));
        upstream = Parse("{kind: anthropic, url: https://api.anthropic.com/v1}");
        Assert.Equal((4096, ThinkingMode.Adaptive), (upstream.DefaultMaxTokens, upstream.Thinking));
    }

    [Fact]
    public void Keys_of_responses_are_those_that_every_kind_has()
    {
        var upstream = Parse("{kind: responses, url: https://api.openai.com/v1/, model: gpt-x, api_key: \"${KEY}\", weight: 2, headers: {a: b}, on_abort: drain}");
        Assert.Equal(
            (UpstreamKind.Responses, "https://api.openai.com/v1", "gpt-x", "sk-secret", AbortPolicy.Drain),
            (upstream.Kind, upstream.Url, upstream.Model, upstream.ApiKey, upstream.OnAbort));
    }

    [Theory]
    [InlineData("azure.yaml", "gpt-4.1", "o4-mini")]
    [InlineData("anthropic.yaml", "claude-sonnet-5-5", "gpt-4.1", "claude-haiku-4-5")]
    [InlineData("vllm-pair.yaml", "Llama-3.3-70B-Instruct", "gpt-4.1")]
    public async Task Examples_start_as_they_are(string file, params string[] names)
    {
        var options = ConfigurationFile.Parse(RepositoryFiles.Read($"examples/{file}"), file, name => name.EndsWith("_API_KEY", StringComparison.Ordinal) ? "sk-secret" : null) with { Listen = [new ListenAddress("127.0.0.1", 0)] };
        await using var application = SluiceServer.CreateApplication(options, ModelCatalog.Create(options, []), builder => builder.Logging.ClearProviders());
        await application.StartAsync(TestContext.Current.CancellationToken);
        using var http = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };
        var models = await http.GetStringAsync("/v1/models", TestContext.Current.CancellationToken);
        Assert.All(names, name => Assert.Contains($"\"id\":\"{name}\"", models, StringComparison.Ordinal));
        Assert.DoesNotContain("secret", models, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{kind: azure, url: http://x, api_version: v}", "4:9: an upstream of the kind azure has no 'deployment', needed unless the url ends with /openai/v1")]
    [InlineData("{kind: azure, url: http://x, deployment: d}", "4:9: an upstream of the kind azure has no 'api_version', such as 2024-10-21, needed unless the url ends with /openai/v1")]
    [InlineData("{kind: azure, url: http://x, deployment: d, api_version: 1&2}", "4:66: '1&2' is not a version of Azure's API; expected one such as 2024-10-21")]
    [InlineData("{kind: azure, url: http://x, deployment: d, api_version: v, model: m}", "4:69: 'model' is not allowed for the kind azure; use 'deployment' instead")]
    [InlineData("{kind: azure, url: http://x/openai/deployments/d}", "4:28: the url contains a deployment; expected the resource, such as https://NAME.openai.azure.com, and the deployment's name in 'deployment'")]
    [InlineData("{kind: azure, url: http://x, deployment: d, api_version: v, default_max_tokens: 1}", "4:69: 'default_max_tokens' is for upstreams of the kind anthropic, and this one is of the kind azure")]
    [InlineData("{kind: anthropic, url: http://x/v1, continues: true}", "4:45: 'continues' is for upstreams of the kind openai, and this one is of the kind anthropic")]
    [InlineData("{url: http://x, deployment: d}", "4:25: 'deployment' is for upstreams of the kind azure, and this one is of the kind openai")]
    [InlineData("{url: http://x, max_tokens_parameter: tokens}", "4:47: 'tokens' is not a valid value of 'max_tokens_parameter'; allowed here: max_tokens, max_completion_tokens")]
    [InlineData("{kind: anthropic, url: http://x/v1, max_tokens_parameter: max_tokens}", "4:45: 'max_tokens_parameter' is for upstreams of the kind openai or azure, and this one is of the kind anthropic")]
    [InlineData("{kind: anthropic, url: http://x/v1, deployment: d}", "4:45: 'deployment' is for upstreams of the kind azure, and this one is of the kind anthropic")]
    [InlineData("{kind: anthropic, url: http://x/v1, api_version: 2023-01-01}", "4:58: '2023-01-01' is not a version of Anthropic's API; allowed here: 2023-06-01, 2026-10-21")]
    [InlineData("{url: http://x/v1, api_version: v}", "4:28: 'api_version' is for upstreams of the kind azure or anthropic, and this one is of the kind openai")]
    [InlineData("{kind: anthropic, url: https://api.anthropic.com/}", "4:32: the url has no path; expected where the API begins, such as https://api.anthropic.com/v1")]
    [InlineData("{kind: anthropic, url: https://x/v1/messages}", "4:32: the url names an endpoint; expected where the API begins, such as http://HOST:PORT/v1")]
    [InlineData("{kind: anthropic, url: http://x/v1, default_max_tokens: 0}", "4:65: '0' is not a valid number of tokens; expected 1 to 1000000")]
    [InlineData("{kind: anthropic, url: http://x/v1, thinking: hard}", "4:55: 'hard' is not a valid value of 'thinking'; allowed here: adaptive, budget")]
    [InlineData("{kind: responses, url: https://x/v1/responses}", "4:32: the url names an endpoint; expected where the API begins, such as http://HOST:PORT/v1")]
    [InlineData("{kind: responses, url: http://x/v1, max_tokens_parameter: max_tokens}", "4:45: 'max_tokens_parameter' is for upstreams of the kind openai or azure, and this one is of the kind responses")]
    [InlineData("{kind: gemini, url: http://x/v1}", "4:16: 'gemini' is not a kind of upstream; allowed here: openai, azure, anthropic, responses")]
    public void Something_wrong_has_its_place_and_what_would_be_right(string upstream, string error)
    {
        var exception = Assert.Throws<ConfigurationException>(() => Parse(upstream));
        Assert.Equal($"sluice.yaml:{error}", exception.Message);
    }
}
