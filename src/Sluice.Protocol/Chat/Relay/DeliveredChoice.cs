namespace Sluice.Protocol.Chat.Relay;

/// <summary>One choice of a <see cref="DeliveredAnswer"/>.</summary>
internal sealed class DeliveredChoice
{
    private readonly List<DeliveredText> _texts = [];

    public IReadOnlyList<DeliveredText> Texts => _texts;

    /// <summary>Frames with text; a token is hardly ever more than one of them.</summary>
    public int FragmentCount { get; set; }

    public bool IsFinished { get; set; }

    /// <summary>Whether there is something other than text, a part of a tool call for one, which can't be compared or continued.</summary>
    public bool HasOther { get; set; }

    /// <summary>Whether everything that was delivered has been repeated.</summary>
    public bool IsRepeated => IsFinished || _texts.TrueForAll(static text => text.Rest.IsEmpty);

    public DeliveredText? Find(string name) => _texts.Find(text => text.Name == name);

    public DeliveredText FindOrAdd(string name)
    {
        if (Find(name) is { } text) return text;
        text = new DeliveredText(name);
        _texts.Add(text);
        return text;
    }
}
