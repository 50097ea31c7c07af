namespace Sluice.Server.Console;

/// <summary>One file of the console's page, as it lies in the assembly.</summary>
/// <param name="Bytes">Its content.</param>
/// <param name="ContentType">As browsers have to take it.</param>
/// <param name="ETag">Changes with the content; quoted.</param>
internal sealed record ConsoleFile(ReadOnlyMemory<byte> Bytes, string ContentType, string ETag);
