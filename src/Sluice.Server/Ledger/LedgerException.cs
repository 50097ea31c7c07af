namespace Sluice.Server.Ledger;

/// <summary>The ledger can't do what it was asked.</summary>
/// <param name="message">One sentence for a person, with what to do.</param>
/// <param name="inner">The cause.</param>
public sealed class LedgerException(string message, Exception? inner = null) : Exception(message, inner);
