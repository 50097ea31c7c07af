using Sluice.Server;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>What an application that embeds the hub can use, and has to be able to rely on: a type becomes public on purpose.</summary>
public sealed class PublicTypeTests
{
    private static readonly string[] s_known =
    [
        "AbortPolicy", "AdminOptions", "AnswerHooks", "ApiKey", "BudgetOptions", "BudgetPeriod", "BudgetUnit", "CacheOptions", "CertificateOptions", "ClusterOptions", "ConfigurationError", "ConfigurationException",
        "ConfigurationFile", "ConfigurationReload", "ConfigurationSource", "ContentOptions", "EmbeddingOptions", "ExhaustedPolicy", "HookFailure", "HookOptions", "Hub", "HubHandler", "JwtOptions", "KeyOptions",
        "LedgerException", "LedgerOptions", "LimitOptions", "Limits", "ListenAddress", "LocalModel", "ModelCatalog", "ModelEntry", "ModelOptions", "ModelPrice",
        "ModelRouteOptions", "PriceTable", "PriceTier", "ProjectOptions", "RandomSource", "RouteTimeouts", "SluiceEndpoints", "SluiceOptions", "SluiceServer", "SluiceServices",
        "SluiceTelemetry", "SourcePosition", "StoreException", "StoreFault", "StoreKind", "TransportKind", "UpstreamKind", "UpstreamModel",
        "UpstreamOptions",
    ];

    [Fact]
    public void Public_types_of_the_server_are_the_known_ones()
    {
        var types = typeof(SluiceServer).Assembly.GetExportedTypes().Where(static type => !type.IsNested);
        Assert.Equal(s_known, types.Select(static type => type.Name).Order(StringComparer.Ordinal));
    }
}
