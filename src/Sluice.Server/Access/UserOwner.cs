using System.Globalization;
using System.Security.Claims;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Access;

/// <summary>In an application with an authentication of its own, its user is who asks.</summary>
internal static class UserOwner
{
    // OpenID Connect's name for who it is; what ASP.NET Core's handlers make of it by default; and what small applications have.
    private static readonly string[] s_claims = ["sub", ClaimTypes.NameIdentifier];

    /// <summary>The user as a caller; null where the application has authenticated nobody.</summary>
    /// <param name="user">As the application has set it.</param>
    /// <param name="claimType">The claim that says who it is; null for the usual ones.</param>
    /// <returns>An error where somebody is authenticated and no claim says who: sharing with all others like that would be worse.</returns>
    public static (Caller? Caller, ApiError? Error) Find(ClaimsPrincipal user, string? claimType)
    {
        if (user.Identities.FirstOrDefault(static identity => identity.IsAuthenticated) is not { } identity) return (null, null);
        var claim = claimType is not null
            ? identity.FindFirst(claimType)
            : s_claims.Select(identity.FindFirst).FirstOrDefault(static found => found is not null)
                ?? identity.FindFirst(identity.NameClaimType);
        if (claim is not { Value.Length: > 0 })
        {
            var name = claimType ?? s_claims[0];
            return (null, ApiErrors.Forbidden($"The user has no claim '{name}', which says whose answers these are.", "unknown_user"));
        }
        // Two issuers may have the same subject. The length keeps the two parts apart, whatever is in them.
        return (new Caller(IdOf(claim.Issuer, claim.Value)), null);
    }

    /// <summary>The id of an issuer's subject.</summary>
    public static string IdOf(string issuer, string subject) => string.Create(CultureInfo.InvariantCulture, $"user:{issuer.Length}:{issuer}:{subject}");
}
