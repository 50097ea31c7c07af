using System.Security.Cryptography;
using System.Text;

namespace Sluice.Server.Ledger;

/// <summary>What a person is called in the ledger: a keyed hash, so that nobody can tell the name from it.</summary>
internal static class Subject
{
    /// <param name="secret">See <see cref="LedgerFile.GetSubjectSecret"/>.</param>
    /// <param name="user">As a request names the person.</param>
    public static string HashOf(byte[] secret, string user) => Convert.ToHexStringLower(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(user)));
}
