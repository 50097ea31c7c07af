namespace Sluice.Server.Configuration;

/// <summary>Several hubs that share one database, so that each of them serves every answer.</summary>
/// <param name="Postgres">Connection string of the database, in Npgsql's words.</param>
/// <param name="PeerListen">Where the other hubs reach this one; nothing else is served there.</param>
/// <param name="Advertise">The same, as the others write it.</param>
/// <param name="Secret">What all hubs of the cluster have in common, and nobody else knows.</param>
public sealed record ClusterOptions(string Postgres, ListenAddress PeerListen, Uri Advertise, string Secret)
{
    /// <summary>Characters that a secret has at least.</summary>
    public const int SecretLengthMin = 16;

    /// <summary>Without what is secret.</summary>
    public override string ToString() => $"{nameof(ClusterOptions)} {{ {Advertise} }}";
}
