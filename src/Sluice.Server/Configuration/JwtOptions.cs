namespace Sluice.Server.Configuration;

/// <summary>Tokens of an identity provider (OpenID Connect) that open the hub beside keys.</summary>
/// <param name="Issuer">Who issues them: an address, from which its keys are found.</param>
/// <param name="Audience">For whom they are issued; a token for anybody else opens nothing.</param>
public sealed record JwtOptions(string Issuer, string Audience)
{
    /// <summary>The claim whose values stand for projects; null for none, and then tokens belong to no project.</summary>
    public string? ProjectClaim { get; init; }

    /// <summary>From values of that claim to ids of projects. Whoever has no value that is here is refused.</summary>
    public IReadOnlyDictionary<string, string> Map { get; init; } = new Dictionary<string, string>();

    /// <summary>The claim that lists models, as <see cref="KeyOptions.Models"/>; null for all models.</summary>
    public string? ModelsClaim { get; init; }
}
