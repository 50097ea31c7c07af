namespace Sluice.Server.Hooks;

/// <summary>How a call went.</summary>
/// <param name="Body">What the hook said; empty where it said nothing, and where there is a problem.</param>
/// <param name="Problem">For the log: why there is no reply; null where there is one.</param>
internal readonly record struct HookReply(ReadOnlyMemory<byte> Body, string? Problem);
