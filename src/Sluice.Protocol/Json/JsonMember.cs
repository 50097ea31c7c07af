using System.Text.Json;

namespace Sluice.Protocol.Json;

/// <summary>Looks for members of a parsed object that need not be there, nor be what they should.</summary>
internal static class JsonMember
{
    /// <summary>Whether the object has a member of that kind.</summary>
    /// <param name="element">Anything; what is no object has no members.</param>
    /// <param name="name">Of the member.</param>
    /// <param name="kind">What it should be.</param>
    /// <param name="value">The last member of the name.</param>
    public static bool TryGet(this JsonElement element, ReadOnlySpan<byte> name, JsonValueKind kind, out JsonElement value)
    {
        value = default;
        return element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out value) && value.ValueKind == kind;
    }
}
