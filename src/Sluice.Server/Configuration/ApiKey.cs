namespace Sluice.Server.Configuration;

/// <summary>A key that opens the hub, and whose it is. Keys with one id belong to one owner, so that one can replace another.</summary>
/// <param name="Id">
/// Whose answers are asked for with the key: 1 to <see cref="IdLengthMax"/> letters, digits, dots, hyphens and underscores. Null makes the
/// key an owner of its own.
/// </param>
/// <param name="Key">The secret.</param>
public sealed record ApiKey(string? Id, string Key)
{
    /// <summary>Characters of an id. Shorter than a SHA-256 in hexadecimal digits, which stands for a key without an id.</summary>
    public const int IdLengthMax = 63;

    /// <summary>See the parameter. Ids of other kinds, of an application's users among them, can't be had.</summary>
    public string? Id { get; } =
        Id is null || IsId(Id) ? Id : throw new ArgumentException($"'{Id}' is not a valid id of a key's owner.", nameof(Id));

    /// <summary>A key without an id.</summary>
    public static implicit operator ApiKey(string key) => FromString(key);

    /// <summary>A key without an id.</summary>
    public static ApiKey FromString(string key) => new(null, key);

    /// <summary>Whether a text may be an id.</summary>
    public static bool IsId(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length is > 0 and <= IdLengthMax
            && text.All(static letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' or '_');
    }

    /// <summary>Without the secret.</summary>
    public override string ToString() => Id is null ? "a key" : $"a key of {Id}";
}
