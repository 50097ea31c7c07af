using Sluice.Inference.Gguf;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;

namespace Sluice.Server.Models;

/// <summary>What a client is told when a model can't be loaded. A failure that the file is to blame for says not to retry.</summary>
internal static class LoadFailure
{
    private static readonly TimeSpan s_retryAfter = TimeSpan.FromSeconds(5);

    public static ApiError LargerThanBudget(LocalModel entry, long budgetBytes) => Unavailable(
        $"The model `{entry.Id}` needs {ByteSize.Format(entry.FileBytes)}, and the memory budget is {ByteSize.Format(budgetBytes)}.") with
    {
        RetryAfter = null,
        ShouldRetry = false,
    };

    public static ApiError OthersInUse(LocalModel entry) => Unavailable(
        $"The model `{entry.Id}` can't be loaded now: models in use take the memory. Please retry.");

    public static ApiError Describe(LocalModel entry, Exception error) => error switch
    {
        GgufException => Broken(entry, error),
        FileNotFoundException or DirectoryNotFoundException => ApiErrors.ServerError($"The file of the model `{entry.Id}` is gone.") with { ShouldRetry = false },
        OutOfMemoryException => Unavailable($"The model `{entry.Id}` can't be loaded: there is not enough memory."),
        IOException or UnauthorizedAccessException => ApiErrors.ServerError($"The file of the model `{entry.Id}` can't be read."),
        _ => ApiErrors.ServerError($"The model `{entry.Id}` can't be loaded."),
    };

    /// <summary>Whether the message says it all; otherwise the log has the stack.</summary>
    public static bool IsExpected(Exception error) => error is GgufException or FileNotFoundException or DirectoryNotFoundException or OutOfMemoryException;

    // The file's message names the file by path, which is not the client's business.
    private static ApiError Broken(LocalModel entry, Exception error) => ApiErrors.ServerError(
        $"The model `{entry.Id}` can't be loaded: {error.Message.Replace(entry.Path, Path.GetFileName(entry.Path), StringComparison.Ordinal)}") with
    {
        ShouldRetry = false,
    };

    private static ApiError Unavailable(string message) => ApiErrors.Unavailable(s_retryAfter) with { Message = message };
}
