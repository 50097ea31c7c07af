using System.Text.Json;

namespace Sluice.Server.Hooks;

/// <summary>What a hook is told about a request beside its body. No credential is in it.</summary>
/// <param name="RequestId">As in <c>x-request-id</c> and in the log; null of an answer that began in an earlier process.</param>
/// <param name="Door">Name of the API that the client speaks.</param>
/// <param name="Model">As the client wrote it.</param>
internal sealed record HookSubject(string? RequestId, string Door, string Model)
{
    /// <summary>Whether the client gets events.</summary>
    public bool IsStream { get; init; }

    /// <summary>Id of the key or user, as in the ledger; null where nobody is told from anybody else.</summary>
    public string? Key { get; init; }

    /// <summary>Of the key, for people; null without one.</summary>
    public string? KeyName { get; init; }

    /// <summary>Id of the key's project; null without one.</summary>
    public string? Project { get; init; }

    /// <summary>Writes the members.</summary>
    public void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteString("request_id"u8, RequestId);
        writer.WriteString("door"u8, Door);
        writer.WriteString("model"u8, Model);
        writer.WriteBoolean("stream"u8, IsStream);
        writer.WriteString("key"u8, Key);
        writer.WriteString("key_name"u8, KeyName);
        writer.WriteString("project"u8, Project);
    }
}
