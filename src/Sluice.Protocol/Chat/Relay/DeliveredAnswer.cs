using System.Text;
using System.Text.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// What a client has been given of an answer that broke off: the measure for another attempt to go on with it. For one thread at a time.
/// </summary>
public sealed class DeliveredAnswer
{
    private const string ContentName = "content";

    // Bytes before the end in which a space is looked for: a word is hardly longer.
    private const int WordBytesMax = 64;

    private readonly DeliveredChoice[] _choices;
    private readonly FrameText _frame = new();

    /// <param name="choiceCount">Choices asked for, 1 to <see cref="ProtocolLimits.ChoicesMax"/>.</param>
    /// <param name="events">The events that were delivered, from the first on, as the hub wrote them.</param>
    /// <exception cref="JsonException">An event is not a chunk.</exception>
    public DeliveredAnswer(int choiceCount, EventBuffer events)
    {
        ArgumentNullException.ThrowIfNull(events);
        _choices = [.. Enumerable.Range(0, choiceCount).Select(_ => new DeliveredChoice())];
        for (var i = 0; i < events.Count; i++) Add(events[i]);
    }

    /// <summary>The model that the answer names.</summary>
    public string Model { get; private set; } = "";

    /// <summary>Unix time in seconds that the answer states.</summary>
    public long Created { get; private set; }

    /// <summary>Whether an equal beginning could be told from another: there is text only.</summary>
    public bool IsRepeatable => Array.TrueForAll(_choices, static choice => choice.IsFinished || !choice.HasOther);

    /// <summary>
    /// Whether a model could be asked to go on from the text: one choice, and nothing but content. Reasoning can't be given back, for
    /// what a template makes of it is not known.
    /// </summary>
    public bool IsContinuable => _choices is [{ IsFinished: false, HasOther: false } choice] && choice.Texts.All(static text => text.Name == ContentName || text.Bytes.IsEmpty) && Content.Length > 0;

    /// <summary>Tokens that were delivered, as far as frames tell: at least one token is in each.</summary>
    public int TokenCount => _choices.Sum(static choice => choice.FragmentCount);

    /// <summary>The content of the only choice, UTF-8.</summary>
    internal ReadOnlySpan<byte> Content => _choices[0].Find(ContentName) is { } text ? text.Bytes : default;

    internal DeliveredChoice? Choice(long index) => index >= 0 && index < _choices.Length ? _choices[index] : null;

    internal bool IsRepeated => Array.TrueForAll(_choices, static choice => choice.IsRepeated);

    /// <summary>Whether an event that the hub wrote carries something of an answer beside its end: a delta that isn't empty.</summary>
    public static bool IsContent(ReadOnlySpan<byte> sseEvent) =>
        sseEvent.StartsWith("data: {"u8) && sseEvent.IndexOf("\"delta\":{\""u8) >= 0;

    /// <summary>The beginning that a model is given to go on from; what follows it is to be repeated by the new answer.</summary>
    /// <param name="wholeWords">
    /// Whether it ends before the last word that began with a space: the tokens of a part of a word may be others than those of the
    /// whole one, so the model writes that word again, and it is checked.
    /// </param>
    public string TakePrefill(bool wholeWords)
    {
        var content = Content;
        var length = content.Length;
        if (wholeWords)
        {
            var space = content[int.Max(0, length - WordBytesMax)..].LastIndexOf((byte)' ');
            if (space >= 0) space += int.Max(0, length - WordBytesMax);
            // A beginning that is all white space or nothing is none.
            if (space > 0 && !content[..space].TrimEnd(" \t\r\n"u8).IsEmpty) length = space;
        }
        _choices[0].Find(ContentName)!.Repeated = length;
        return Encoding.UTF8.GetString(content[..length]);
    }

    private void Add(ReadOnlySpan<byte> sseEvent)
    {
        if (!_frame.TryRead(sseEvent)) return;
        if (Model.Length == 0)
        {
            Model = _frame.Root.Text(_frame.Json, _frame.Root.Find(_frame.Json, "model"u8)) ?? "";
            Created = _frame.Root.Integer(_frame.Json, _frame.Root.Find(_frame.Json, "created"u8)) ?? 0;
        }
        for (var i = 0; i < _frame.ChoiceCount; i++)
        {
            if (Choice(_frame.ReadChoice(i)) is not { } choice) continue;
            var hasText = false;
            for (var member = 0; member < _frame.Delta.Count; member++)
            {
                if (_frame.Delta.IsNamed(_frame.Json, member, "role"u8) || !_frame.Delta.HasSubstance(member)) continue;
                if (_frame.Delta.TypeOf(member) != JsonTokenType.String)
                {
                    choice.HasOther = true;
                    continue;
                }
                hasText = true;
                choice.FindOrAdd(_frame.Delta.Name(_frame.Json, member)).Append(_frame.ReadText(member));
            }
            if (hasText) choice.FragmentCount++;
            choice.IsFinished |= _frame.HasFinish;
        }
    }
}
