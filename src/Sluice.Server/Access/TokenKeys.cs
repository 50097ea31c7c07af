using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;

namespace Sluice.Server.Access;

/// <summary>
/// Tokens of an identity provider as keys: who asks is the issuer's subject, and its claims say for which project. The provider's keys are
/// fetched once, and again at most every half minute where a token names one that is not known.
/// </summary>
internal sealed class TokenKeys
{
    private const string ProjectHeader = "Sluice-Project";
    private static readonly TimeSpan s_skew = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_refresh = TimeSpan.FromSeconds(30);

    // Signatures alone: with a shared secret whoever can check a token could make one.
    private static readonly string[] s_algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512, SecurityAlgorithms.RsaSsaPssSha256,
        SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512, SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384,
        SecurityAlgorithms.EcdsaSha512,
    ];

    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };
    private readonly TokenValidationParameters _parameters;
    private readonly JwtOptions _jwt;
    private readonly Limiter _limiter;

    /// <param name="options">With <see cref="SluiceOptions.Jwt"/>.</param>
    /// <param name="limiter">Makes accounts.</param>
    /// <param name="time">Clock of their lifetimes.</param>
    public TokenKeys(SluiceOptions options, Limiter limiter, TimeProvider time)
    {
        (_jwt, _limiter) = (options.Jwt!, limiter);
        var documents = new HttpDocumentRetriever { RequireHttps = _jwt.Issuer.StartsWith("https:", StringComparison.OrdinalIgnoreCase) };
        _parameters = new TokenValidationParameters
        {
            ValidIssuer = _jwt.Issuer,
            ValidAudience = _jwt.Audience,
            ValidAlgorithms = s_algorithms,
            RequireExpirationTime = true,
            RequireSignedTokens = true,
            LifetimeValidator = (from, to, _, _) => IsAlive(from, to, time.GetUtcNow().UtcDateTime),
            ConfigurationManager = new ConfigurationManager<OpenIdConnectConfiguration>(
                $"{_jwt.Issuer.TrimEnd('/')}/.well-known/openid-configuration", new OpenIdConnectConfigurationRetriever(), documents)
            {
                RefreshInterval = s_refresh,
            },
        };
    }

    /// <summary>Whether a bearer is a token and no key: three parts, the first of which is a JSON object in base64.</summary>
    public static bool IsToken(string bearer) => bearer.StartsWith("eyJ", StringComparison.Ordinal) && bearer.Count(static letter => letter == '.') == 2;

    /// <summary>Who asks with a token, or why the request must not pass. Nothing of the token goes into an error.</summary>
    public async Task<(Caller? Caller, ApiError? Error)> IdentifyAsync(string token, HttpRequest request)
    {
        try
        {
            await _parameters.ConfigurationManager.GetBaseConfigurationAsync(CancellationToken.None);
        }
        catch (Exception exception) when (exception is InvalidOperationException or IOException or HttpRequestException)
        {
            // Whose tokens are good is not known now.
            return (null, ApiErrors.Unavailable(TimeSpan.FromSeconds(1)) with { Message = "The identity provider can't be reached now. Please retry." });
        }
        var result = await _handler.ValidateTokenAsync(token, _parameters);
        if (!result.IsValid)
        {
            return result.Exception is SecurityTokenExpiredException or SecurityTokenInvalidLifetimeException
                ? (null, ApiErrors.TokenRefused("The token has expired, or is not valid yet. Sign in again.", "token_expired"))
                : (null, ApiErrors.TokenRefused("The token is not valid here: its issuer, audience and signature must be those of this hub.", "invalid_token"));
        }
        var identity = result.ClaimsIdentity;
        if (identity.FindFirst(JwtRegisteredClaimNames.Sub) is not { Value: { Length: > 0 } subject })
            return (null, ApiErrors.TokenRefused("The token has no claim 'sub', which says who asks.", "invalid_token"));
        if (FindProject(identity, request.Headers[ProjectHeader].ToString(), out var project) is { } refused) return (null, refused);
        var id = UserOwner.IdOf(_jwt.Issuer, subject);
        var models = _jwt.ModelsClaim is { } claim ? identity.FindAll(claim).Select(static value => value.Value).ToList() : null;
        return (new Caller(id) { Account = _limiter.FindAccount(id, project, models) }, null);
    }

    private ApiError? FindProject(ClaimsIdentity identity, string wanted, out string? project)
    {
        project = null;
        if (_jwt.ProjectClaim is not { } claim) return null;
        var projects = identity.FindAll(claim).Select(value => _jwt.Map.GetValueOrDefault(value.Value)).OfType<string>().ToList();
        if (projects.Count == 0) return ApiErrors.Forbidden($"No value of the claim '{claim}' stands for a project here.", "project_unknown");
        project = wanted.Length == 0 ? projects[0] : projects.Find(known => known == wanted);
        return project is null ? ApiErrors.Forbidden($"The header {ProjectHeader} names no project of this token.", "project_unknown") : null;
    }

    private static bool IsAlive(DateTime? from, DateTime? to, DateTime now) => (from is null || now >= from - s_skew) && to is not null && now < to + s_skew;
}
