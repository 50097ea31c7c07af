using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;

namespace Sluice.Server.Cluster;

/// <summary>What an answer is, as one hub tells another before its events.</summary>
/// <param name="Owner">Whose it is, and for what; another hub keeps nothing of it.</param>
/// <param name="Model">The model that was asked for.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="State">The word of the API for where it stands.</param>
/// <param name="IsStored">Whether the database has its events too.</param>
/// <param name="First">Number of the first event that follows.</param>
/// <param name="Count">Events that there are.</param>
/// <param name="Request">What was asked, where no store has it; else empty.</param>
internal sealed record PeerHead(AnswerIdentity Owner, string Model, long Created, string State, bool IsStored, long First, long Count, byte[] Request)
{
    public static byte[] Write(Answer answer, long first, long count)
    {
        var (text, owner) = (new ArrayBufferWriter<byte>(), answer.Owner);
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteString("principal"u8, owner.Principal);
            if (owner.Key is { } key) json.WriteString("key"u8, key);
            json.WriteString("raw"u8, owner.Fingerprint.Raw);
            if (owner.Fingerprint.Canonical is { } canonical) json.WriteString("canonical"u8, canonical);
            json.WriteNumber("on_disconnect"u8, (int)owner.OnDisconnect);
            json.WriteString("dialect"u8, owner.Dialect.Name);
            json.WriteBoolean("may_be_whole"u8, owner.MayBeWhole);
            json.WriteNumber("turn"u8, (int)owner.Turn);
            json.WriteBoolean("hidden"u8, owner.IsHidden);
            json.WriteString("model"u8, answer.Model);
            json.WriteNumber("created"u8, answer.Created);
            json.WriteString("state"u8, answer.State);
            json.WriteBoolean("stored"u8, owner.Retention == Retention.Store);
            json.WriteNumber("first"u8, first);
            json.WriteNumber("count"u8, count);
            if (answer.Request.Length > 0) json.WriteBase64String("request"u8, answer.Request.Span);
            json.WriteEndObject();
        }
        return text.WrittenSpan.ToArray();
    }

    /// <exception cref="JsonException">It is something else.</exception>
    public static PeerHead Read(ReadOnlyMemory<byte> frame)
    {
        using var document = JsonDocument.Parse(frame);
        var root = document.RootElement;
        string? Text(string name) => root.TryGetProperty(name, out var value) ? value.GetString() : null;
        var dialect = Dialects.Find(Text("dialect") ?? "") ?? throw new JsonException("The dialect of an answer is not known.");
        var owner = new AnswerIdentity(
            Text("principal") ?? "", Text("key"), new RequestFingerprint(Text("raw") ?? "", Text("canonical")), (DisconnectPolicy)root.GetProperty("on_disconnect"u8).GetInt32())
        {
            Dialect = dialect,
            MayBeWhole = root.GetProperty("may_be_whole"u8).GetBoolean(),
            Turn = (TurnKind)root.GetProperty("turn"u8).GetInt32(),
            IsHidden = root.GetProperty("hidden"u8).GetBoolean(),
            Retention = Retention.Off,
        };
        return new PeerHead(
            owner, Text("model") ?? "", root.GetProperty("created"u8).GetInt64(), Text("state") ?? "running", root.GetProperty("stored"u8).GetBoolean(),
            root.GetProperty("first"u8).GetInt64(), root.GetProperty("count"u8).GetInt64(),
            root.TryGetProperty("request"u8, out var request) ? request.GetBytesFromBase64() : []);
    }
}
