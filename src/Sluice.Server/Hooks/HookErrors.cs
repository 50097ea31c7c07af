using Sluice.Protocol.Errors;

namespace Sluice.Server.Hooks;

/// <summary>What a client learns of a hook: that it refused, or that nothing passes without it. Neither its address nor what is wrong with it.</summary>
internal static class HookErrors
{
    /// <summary>Where the hook gives no code of its own.</summary>
    public const string RefusedCode = "refused_by_hook";

    /// <summary>The hook's own words. The same request would be refused again, whatever the status says.</summary>
    public static ApiError Refused(int status, string message, string? code) =>
        ApiErrors.Forbidden(message, code ?? RefusedCode) with { Status = status, ShouldRetry = false };

    /// <summary>503: without the hook nothing passes.</summary>
    public static ApiError Unavailable() => ApiErrors.Unavailable(TimeSpan.FromSeconds(1)) with
    {
        Message = "The check of requests that this hub depends on is not available now. You can retry your request.",
        Code = "hook_unavailable",
    };
}
