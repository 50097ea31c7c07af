using System.Buffers;

namespace Sluice.Protocol.Messages;

/// <summary>Ids of calls, which have only letters, digits, <c>_</c> and <c>-</c> in the Messages API.</summary>
internal static class MessagesIds
{
    private static readonly SearchValues<char> s_characters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    /// <summary>Ids of other providers may have dots and colons; a call and its result change in the same way.</summary>
    public static string Clean(string id)
    {
        if (id.Length > 0 && !id.AsSpan().ContainsAnyExcept(s_characters)) return id;
        return id.Length == 0 ? "_" : string.Create(id.Length, id, static (output, id) =>
        {
            for (var i = 0; i < id.Length; i++) output[i] = s_characters.Contains(id[i]) ? id[i] : '_';
        });
    }
}
