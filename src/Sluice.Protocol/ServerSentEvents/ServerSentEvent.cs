namespace Sluice.Protocol.ServerSentEvents;

/// <summary>One event of a stream.</summary>
/// <param name="Type">The <c>event</c> field; <c>message</c> where there is none.</param>
/// <param name="Data">
/// The <c>data</c> lines, joined by line feeds. The reader's own memory: valid until the next event is asked for.
/// </param>
/// <param name="Id">The <c>id</c> field, which holds for later events until another comes; null before the first.</param>
public readonly record struct ServerSentEvent(string Type, ReadOnlyMemory<byte> Data, string? Id);
