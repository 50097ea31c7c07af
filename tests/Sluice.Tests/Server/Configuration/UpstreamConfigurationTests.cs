using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Xunit;

namespace Sluice.Tests.Server.Configuration;

/// <summary>What a configuration says about upstreams.</summary>
public sealed class UpstreamConfigurationTests
{
    private static SluiceOptions Parse(string yaml) =>
        ConfigurationFile.Parse(yaml, "sluice.yaml", name => name == "KEY" ? "sk-secret" : null);

    [Fact]
    public void Every_key_is_read()
    {
        var options = Parse("""
            models:
              - id: Llama
                aliases: [gpt-4.1]
                upstreams:
                  - url: http://gpu-1:8000/v1/
                    weight: 2
                  - {url: "https://gpu-2/v1", kind: openai, api_key: "${KEY}", model: meta/Llama, weight: 0.5, headers: {X-Team: red, Authorization: Basic eA==}, on_abort: drain, continues: true}
                retries: 0
                timeouts: {connect: 500ms, first_token: 1.5s, idle: 2m, total: 1h}
                rescue: off
                hedge: 2.5%
                fallbacks: [SMALL]
              - id: small
                upstreams: [{url: "http://127.0.0.1:1"}]
            """);

        var route = options.Models![0].Route!;
        Assert.Equal(["http://gpu-1:8000/v1", "https://gpu-2/v1"], route.Upstreams.Select(upstream => upstream.Url));
        Assert.Equal([2, 0.5], route.Upstreams.Select(upstream => upstream.Weight));
        Assert.Equal(("sk-secret", "meta/Llama", AbortPolicy.Drain), (route.Upstreams[1].ApiKey, route.Upstreams[1].Model, route.Upstreams[1].OnAbort));
        Assert.Equal("red", route.Upstreams[1].Headers["x-team"]);
        Assert.Equal(0, route.Retries);
        Assert.Equal([0.5, 1.5, 120, 3600], new[] { route.Timeouts.Connect, route.Timeouts.FirstToken, route.Timeouts.Idle, route.Timeouts.Total }.Select(time => time.TotalSeconds));
        Assert.Equal([false, true], route.Upstreams.Select(upstream => upstream.Continues));
        Assert.Equal((false, 0.025), (route.Rescue, route.Hedge));
        Assert.Equal((true, null), (options.Models[1].Route!.Rescue, options.Models[1].Route!.Hedge));
        Assert.Equal(["SMALL"], options.Models[0].Fallbacks);
        Assert.Equal(new RouteTimeouts(), options.Models[1].Route!.Timeouts);
        Assert.Equal(2, options.Models[1].Route!.Retries);
        Assert.DoesNotContain("secret", route.Upstreams[1].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_catalog_merges_files_and_upstreams()
    {
        var catalog = ModelCatalog.Create(Parse("models:\n  - {id: far, aliases: [gpt-4.1], upstreams: [{url: http://gpu/v1}]}\n"), []);
        var model = Assert.IsType<UpstreamModel>(catalog.Find("GPT-4.1"));
        Assert.Equal(("far", "http://gpu/v1"), (model.Id, model.Route.Upstreams[0].Url));
    }

    [Theory]
    [InlineData("upstreams: [{url: http://gpu/v1, wieght: 1}]", "4:38: unknown key 'wieght'; did you mean 'weight'? allowed here: url, kind, api_key, model, weight, headers, on_abort, continues, deployment, api_version, default_max_tokens, thinking, max_tokens_parameter")]
    [InlineData("upstreams: [{kind: opnai, url: http://x}]", "4:24: 'opnai' is not a kind of upstream; did you mean 'openai'? allowed here: openai, azure, anthropic, responses")]
    [InlineData("upstreams: [{url: http://x, continues: maybe}]", "4:44: 'maybe' is not a valid value of 'continues'; allowed here: true, false")]
    [InlineData("upstreams: [{url: http://x}]\n    hedge: 0%", "5:12: '0%' is not a valid share of requests; expected a percentage above 0, such as 5%")]
    [InlineData("upstreams: [{url: http://x}]\n    hedge: 5", "5:12: '5' is not a valid share of requests; expected a percentage above 0, such as 5%")]
    [InlineData("upstreams: []", "4:16: 'upstreams' is empty; expected at least one, such as {url: http://gpu-1:8000/v1}")]
    [InlineData("upstreams: [{model: a}]", "4:17: an upstream has no 'url'")]
    [InlineData("upstreams: [{url: gpu-1}]", "4:23: this is not a valid URL; expected http://HOST:PORT/v1 or https://HOST/v1")]
    [InlineData("upstreams: [{url: ftp://gpu-1}]", "4:23: this is not a valid URL; expected http://HOST:PORT/v1 or https://HOST/v1")]
    [InlineData("upstreams: [{url: http://me:secret@gpu/v1}]", "4:23: the url contains a user or password; use 'api_key' or 'headers'")]
    [InlineData("upstreams: [{url: http://gpu/v1/chat/completions}]", "4:23: the url names an endpoint; expected where the API begins, such as http://HOST:PORT/v1")]
    [InlineData("upstreams: [{url: http://gpu, weight: -1}]", "4:43: '-1' is not a valid weight; expected a number above 0")]
    [InlineData("upstreams: [{url: http://gpu, on_abort: kill}]", "4:45: 'kill' is not a valid value of 'on_abort'; allowed here: cancel, drain")]
    [InlineData("upstreams: [{url: http://gpu, api_key: a b}]", "4:44: an API key contains a character that is not allowed in a header; expected visible ASCII without spaces")]
    [InlineData("upstreams: [{url: http://gpu, headers: {Content-Length: 3}}]", "4:45: the header 'Content-Length' is the hub's own and can't be set")]
    [InlineData("upstreams: [{url: http://gpu, headers: {X Y: 3}}]", "4:45: 'X Y' is not a valid header name")]
    [InlineData("upstreams: [{url: http://gpu}]\n    retries: many", "5:14: 'many' is not a valid number of retries; expected 0 to 10")]
    [InlineData("upstreams: [{url: http://gpu}]\n    timeouts: {idel: 5s}", "5:16: unknown key 'idel'; did you mean 'idle'? allowed here: connect, first_token, idle, total")]
    [InlineData("upstreams: [{url: http://gpu}]\n    timeouts: {idle: 5}", "5:22: '5' is not a valid duration; expected a number with a unit, such as 500ms, 5s or 10m, up to 24h")]
    [InlineData("upstreams: [{url: http://gpu}]\n    fallbacks: [smal]", "5:17: the fallback 'smal' is not a model of this configuration; did you mean 'small'?")]
    [InlineData("upstreams: [{url: http://gpu}]\n    fallbacks: [A]", "5:17: the model 'a' can't be its own fallback")]
    [InlineData("upstreams: [{url: http://gpu}]\n    gguf: a.gguf", "4:5: a model has both 'gguf' and 'upstreams'; it needs exactly one of them")]
    [InlineData("gguf: a.gguf\n    timeouts: {idle: 5s}", "5:5: 'timeouts' applies to upstreams, and this model has none")]
    public void Something_wrong_has_its_place_and_what_would_be_right(string yaml, string error)
    {
        var exception = Assert.Throws<ConfigurationException>(() => Parse($"models:\n  - {{id: small, gguf: s.gguf}}\n  - id: a\n    {yaml}\n"));
        Assert.Equal($"sluice.yaml:{error}", exception.Message);
    }

    [Theory]
    [InlineData("upstreams: [{url: http://gpu/v1, kind: \"${KEY}\"}]", "'${KEY}' is not a kind of upstream")]
    [InlineData("upstreams: [{url: http://gpu/v1, weight: \"${KEY}\"}]", "'${KEY}' is not a valid weight")]
    [InlineData("upstreams: [{url: http://gpu/v1}]\n    fallbacks: [\"${KEY}\"]", "the fallback '${KEY}' is not a model")]
    public void A_key_in_the_wrong_place_is_not_in_the_error(string yaml, string message)
    {
        var error = Assert.Single(Assert.Throws<ConfigurationException>(() => Parse($"models:\n  - id: a\n    {yaml}\n")).Errors).ToString();
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error, StringComparison.Ordinal);
    }
}
