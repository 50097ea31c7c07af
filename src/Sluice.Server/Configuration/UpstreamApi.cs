namespace Sluice.Server.Configuration;

/// <summary>Words of upstreams' APIs that a configuration may contain or imply.</summary>
internal static class UpstreamApi
{
    /// <summary>Ends the address of the Azure surface that takes no version in its queries.</summary>
    public const string AzureVersionedPath = "/openai/v1";

    /// <summary>Anthropic's version where the configuration names none.</summary>
    public const string AnthropicVersion = "2026-10-21";

    /// <summary>Anthropic's version before that, the last with sampling parameters.</summary>
    public const string AnthropicSamplingVersion = "2023-06-01";
}
