namespace Sluice.Protocol.Chat;

/// <summary>Who speaks in a <see cref="ChatMessage"/>.</summary>
public enum ChatRole
{
    /// <summary>Instructions; older name of <see cref="Developer"/>.</summary>
    System,

    /// <summary>Instructions that rank above the user's.</summary>
    Developer,

    /// <summary>The person.</summary>
    User,

    /// <summary>The model.</summary>
    Assistant,

    /// <summary>The result of a tool call.</summary>
    Tool,

    /// <summary>The result of a function call; older form of <see cref="Tool"/>.</summary>
    Function,
}

/// <summary>The roles' names on the wire.</summary>
public static class ChatRoles
{
    /// <summary>Name as it stands in a request, such as <c>user</c>.</summary>
    public static string ToWireName(this ChatRole role) => role switch
    {
        ChatRole.System => "system",
        ChatRole.Developer => "developer",
        ChatRole.User => "user",
        ChatRole.Assistant => "assistant",
        ChatRole.Tool => "tool",
        ChatRole.Function => "function",
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "Not a role."),
    };

    internal static ChatRole? Find(string name) => name switch
    {
        "system" => ChatRole.System,
        "developer" => ChatRole.Developer,
        "user" => ChatRole.User,
        "assistant" => ChatRole.Assistant,
        "tool" => ChatRole.Tool,
        "function" => ChatRole.Function,
        _ => null,
    };
}
