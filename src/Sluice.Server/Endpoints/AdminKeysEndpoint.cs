using System.Buffers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Serving;

namespace Sluice.Server.Endpoints;

/// <summary>
/// Keys for administrators, at <c>/admin/keys</c>: what <c>sluice keys</c> does, over the same file. The hub takes a change over within
/// <see cref="Runtime.Limits.LedgerPoll"/>, as it does for the command.
/// </summary>
internal sealed class AdminKeysEndpoint(RequestBody bodies, Hub hub, TimeProvider time, KeyWatch? watch = null)
{
    /// <summary>Where they are.</summary>
    public const string Path = "/admin/keys";

    private const string Actor = "admin";
    private static readonly TimeSpan s_grace = TimeSpan.FromHours(24);

    /// <summary>Whether a path is here.</summary>
    public static bool Owns(string path) => path == Path || path.StartsWith(Path + "/", StringComparison.Ordinal);

    /// <summary>Does what the request asks for; an error has not been written yet.</summary>
    /// <param name="context">Of somebody who may.</param>
    /// <param name="path">One of <see cref="Owns"/>.</param>
    /// <param name="ledger">Where keys are.</param>
    public async Task<ApiError?> InvokeAsync(HttpContext context, string path, LedgerWriter ledger)
    {
        var method = context.Request.Method;
        string[] rest = [.. path[Path.Length..].Split('/', StringSplitOptions.RemoveEmptyEntries).Select(Uri.UnescapeDataString)];
        if (rest.Length == 0 && HttpMethods.IsGet(method)) return await ListAsync(context, ledger);
        if (!HttpMethods.IsPost(method) || rest.Length > 2) return ApiErrors.InvalidUrl(method, path);
        // Also for what has no members: only programs that mean it, and no form of a page, send this type.
        if (RequestBody.CheckContentType(context.Request) is { } type) return type;
        var (body, unread) = await bodies.ReadAsync(context);
        if (unread is not null) return unread;
        if (!TryParse(body, out var document)) return ApiErrors.UnparsableBody();
        using (document)
        {
            var changes = document!.RootElement;
            if (rest.Length == 0) return await CreateAsync(context, ledger, changes);
            if (await ledger.UseAsync(file => file.FindKey(rest[0])) is not { } key) return NotFound(rest[0]);
            return (rest.Length == 1 ? "" : rest[1]) switch
            {
                "" => await UpdateAsync(context, ledger, key, changes),
                "rotate" => await RotateAsync(context, ledger, key),
                "revoke" => await RevokeAsync(context, ledger, key),
                _ => ApiErrors.InvalidUrl(method, path),
            };
        }
    }

    private async Task<ApiError?> ListAsync(HttpContext context, LedgerWriter ledger)
    {
        var (keys, uses, projects) = await ledger.UseAsync(static file => (file.ReadKeys(), file.ReadLastUses(), file.ReadProjects()));
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        await WriteAsync(context, json =>
        {
            json.WriteStartArray("keys"u8);
            foreach (var key in keys)
            {
                json.WriteStartObject();
                KeyJson.Write(json, key, uses.TryGetValue(key.Id, out var used) ? used : null, now);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartArray("projects"u8);
            foreach (var id in ProjectIds(projects)) json.WriteStringValue(id);
            json.WriteEndArray();
        });
        return null;
    }

    private async Task<ApiError?> CreateAsync(HttpContext context, LedgerWriter ledger, JsonElement changes)
    {
        var name = changes.TryGetProperty("name"u8, out var text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : "";
        if (!ApiKey.IsId(name)) return Invalid("name", $"1 to {ApiKey.IdLengthMax} letters, digits, dots, hyphens and underscores");
        if (await ledger.UseAsync(file => file.FindKey(name)) is not null) return Invalid("name", $"one that no key has; there is a key '{name}' already");
        var id = IssuedKey.CreateId();
        var secret = IssuedKey.Create(id);
        var now = time.GetUtcNow();
        var bare = new KeyRow(id, name) { Hash = IssuedKey.HashOf(secret), LastFour = secret[^4..], Created = now.ToUnixTimeMilliseconds() };
        var (key, error) = await ApplyAsync(ledger, bare, changes, now);
        if (key is null) return error;
        await PutAsync(ledger, key, "key.create", before: null);
        context.Response.StatusCode = StatusCodes.Status201Created;
        await WriteSecretAsync(context, key, secret);
        return null;
    }

    private async Task<ApiError?> UpdateAsync(HttpContext context, LedgerWriter ledger, KeyRow key, JsonElement changes)
    {
        var now = time.GetUtcNow();
        var (changed, error) = await ApplyAsync(ledger, key, changes, now);
        if (changed is null) return error;
        await PutAsync(ledger, changed, "key.update", key);
        await WriteAsync(context, json => KeyJson.Write(json, changed, null, now.ToUnixTimeMilliseconds()));
        return null;
    }

    private async Task<ApiError?> RotateAsync(HttpContext context, LedgerWriter ledger, KeyRow key)
    {
        if (key.Revoked is not null) return ApiErrors.Forbidden($"The key '{key.Name}' is revoked; make another one.", "key_revoked");
        var secret = IssuedKey.Create(key.Id);
        var changed = key with
        {
            Hash = IssuedKey.HashOf(secret),
            LastFour = secret[^4..],
            FormerHash = key.Hash,
            FormerUntil = time.GetUtcNow().Add(s_grace).ToUnixTimeMilliseconds(),
        };
        await PutAsync(ledger, changed, "key.rotate", key);
        await WriteSecretAsync(context, changed, secret);
        return null;
    }

    private async Task<ApiError?> RevokeAsync(HttpContext context, LedgerWriter ledger, KeyRow key)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var changed = key with { Revoked = key.Revoked ?? now };
        if (key.Revoked is null) await PutAsync(ledger, changed, "key.revoke", key);
        await WriteAsync(context, json => KeyJson.Write(json, changed, null, now));
        return null;
    }

    private async Task<(KeyRow? Key, ApiError? Error)> ApplyAsync(LedgerWriter ledger, KeyRow key, JsonElement changes, DateTimeOffset now)
    {
        var projects = ProjectIds(await ledger.UseAsync(static file => file.ReadProjects()));
        var changed = KeyJson.Apply(key, changes, projects, now, out var name, out var expected);
        return changed is null ? (null, Invalid(name, expected)) : (changed, null);
    }

    private List<string> ProjectIds(IEnumerable<(string Id, StoredLimits Limits)> stored) =>
        [.. hub.Options.Projects.Select(static project => project.Id).Concat(stored.Select(static project => project.Id)).Distinct(StringComparer.Ordinal)];

    private async Task PutAsync(LedgerWriter ledger, KeyRow key, string action, KeyRow? before)
    {
        var audit = new AuditRow(time.GetUtcNow().ToUnixTimeMilliseconds(), Actor, action, key.Id, before is null ? null : KeyJson.Describe(before), KeyJson.Describe(key));
        await ledger.UseAsync(file =>
        {
            file.PutKey(key, audit);
            return true;
        });
        watch?.SetWritten();
    }

    private static Task WriteSecretAsync(HttpContext context, KeyRow key, string secret) => WriteAsync(context, json =>
    {
        json.WriteString("id"u8, key.Id);
        json.WriteString("name"u8, key.Name);
        json.WriteString("key"u8, secret);
    });

    private static Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return JsonReply.WriteAsync(context, body.WrittenMemory);
    }

    private static bool TryParse(byte[] body, out JsonDocument? document)
    {
        document = null;
        try
        {
            document = JsonDocument.Parse(body.Length == 0 ? Encoding.UTF8.GetBytes("{}") : body);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static ApiError NotFound(string key) => new(404, $"There is no key '{key}'.", ApiErrors.InvalidRequestType, null, "key_not_found");

    private static ApiError Invalid(string name, string expected) =>
        new(400, $"Invalid value of '{name}': expected {expected}.", ApiErrors.InvalidRequestType, name, "invalid_value");
}
