using Sluice.Protocol.Answers;

namespace Sluice.Server.Endpoints;

/// <summary>The door that a request came to, so that an error has its shape wherever it is found. A feature of the HTTP context.</summary>
/// <param name="Dialect">What is spoken there.</param>
internal sealed record Door(AnswerDialect Dialect);
