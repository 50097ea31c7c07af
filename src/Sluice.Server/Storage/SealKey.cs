using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Answers;

namespace Sluice.Server.Storage;

/// <summary>
/// The secret that reasoning is sealed with: it lies beside the store, so that what was given out before a restart can be taken back after it.
/// Without a store it lives as long as the process.
/// </summary>
internal static partial class SealKey
{
    private const string Extension = ".key";

    /// <summary>The key of a cluster, which its secret says.</summary>
    public static ReasoningSeal Of(string secret) =>
        new(HKDF.DeriveKey(HashAlgorithmName.SHA256, System.Text.Encoding.UTF8.GetBytes(secret), ReasoningSeal.KeyBytes, info: "sluice reasoning"u8.ToArray()));

    /// <summary>Reads the key beside a store, or makes one. A file that can't be read or written costs no more than the reasoning of before.</summary>
    /// <param name="storePath">Null without a store.</param>
    /// <param name="logger">Told of a file that can't be used.</param>
    public static ReasoningSeal Open(string? storePath, ILogger logger)
    {
        var key = new byte[ReasoningSeal.KeyBytes];
        RandomNumberGenerator.Fill(key);
        if (storePath is null) return new ReasoningSeal(key);
        var path = storePath + Extension;
        try
        {
            using var file = new FileStream(path, StoreFile.OptionsOf(FileMode.OpenOrCreate, FileShare.None));
            var known = new byte[key.Length];
            if (file.ReadAtLeast(known, known.Length, throwOnEndOfStream: false) == known.Length) return new ReasoningSeal(known);
            file.SetLength(0);
            file.Write(key);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            LogUnused(logger, path, error.Message);
        }
        return new ReasoningSeal(key);
    }

    [LoggerMessage(1, LogLevel.Warning, "The key of sealed reasoning {Path} can't be used ({Reason}), so reasoning that is given out now is lost at a restart.")]
    private static partial void LogUnused(ILogger logger, string path, string reason);
}
