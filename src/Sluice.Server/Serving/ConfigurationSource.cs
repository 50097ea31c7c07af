using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Server.Serving;

/// <summary>Where a hub finds its configuration again while it runs.</summary>
/// <param name="File">The file to watch; null where there is none, and a reload happens on request only.</param>
/// <param name="Load">Reads and validates everything anew. What it throws refuses the change, and its message is logged.</param>
public sealed record ConfigurationSource(string? File, Func<(SluiceOptions Options, ModelCatalog Catalog)> Load)
{
    /// <summary>
    /// Names the files of the model folders and what changes when one does, so that the hub serves a new one. It counts where the configuration
    /// names no models. The default value, null, watches no folder.
    /// </summary>
    public Func<string>? DescribeModelFiles { get; init; }
}
