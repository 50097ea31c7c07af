namespace Sluice.Protocol.Answers;

/// <summary>
/// What a client has of an answer that broke off, in no dialect's words: another attempt goes on with it if it says the same so far.
/// </summary>
/// <param name="Text">The text, UTF-8; empty before there is any.</param>
/// <param name="PieceCount">Events of text; each has at least one token.</param>
/// <param name="Model">The model that the answer names.</param>
/// <param name="Created">Unix time in seconds that the answer states; 0 where its dialect states none.</param>
public sealed record DeliveredDeltas(ReadOnlyMemory<byte> Text, int PieceCount, string Model, long Created);
