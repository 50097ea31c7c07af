using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Sluice.Server.Access;

/// <summary>Whose an answer is: the hash of the key that the request bears, known to the hub or not, or nobody's in particular.</summary>
internal static class Principal
{
    private const string Anonymous = "";

    public static string Of(HttpRequest request) =>
        ApiKeys.FindKey(request) is { } key ? Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key))) : Anonymous;
}
