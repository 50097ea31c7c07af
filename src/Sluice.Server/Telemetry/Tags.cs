namespace Sluice.Server.Telemetry;

/// <summary>Names of tags, on metrics and spans.</summary>
internal static class Tags
{
    public const string Operation = "gen_ai.operation.name";
    public const string Provider = "gen_ai.provider.name";
    public const string Model = "gen_ai.request.model";
    public const string TokenType = "gen_ai.token.type";
    public const string ErrorType = "error.type";
    public const string Upstream = "sluice.upstream";
    public const string Outcome = "sluice.outcome";
    public const string Cause = "sluice.cause";
    public const string Step = "sluice.step";
    public const string Method = "sluice.method";
    public const string Estimated = "sluice.estimated";
    public const string Role = "sluice.role";
    public const string Limit = "sluice.limit";
    public const string LimitScope = "sluice.scope";
    public const string Door = "sluice.door";
    public const string Hook = "sluice.hook";

    /// <summary>Who answers, as the hub's clients see it.</summary>
    public const string Hub = "sluice";
}
