using System.Text;
using System.Text.Json;

namespace Sluice.Tests.Simulation;

/// <summary>What all clients together have seen of one answer.</summary>
internal sealed class AnswerTrace(string id, Story story)
{
    public string Id => id;

    public Story Story => story;

    /// <summary>By number; null where nobody has seen the event.</summary>
    public List<string?> Events { get; } = [];

    /// <summary>Events at the <c>[DONE]</c> of any client.</summary>
    public int? DoneAt { get; set; }

    /// <summary>Whether a client was told that the answer has failed.</summary>
    public bool HasFailed { get; set; }

    /// <summary>Whether a reply with it has begun.</summary>
    public bool IsStarted { get; set; }
}

/// <summary>Compares what clients get with each other, and in the end with what the upstreams have said.</summary>
internal sealed class Ledger(SimWorld world)
{
    private readonly Dictionary<string, AnswerTrace> _answers = [];

    public IReadOnlyCollection<AnswerTrace> Answers => _answers.Values;

    public AnswerTrace? Find(Story story) => _answers.Values.LastOrDefault(trace => trace.Story == story);

    public AnswerTrace Trace(string id, Story story)
    {
        if (!_answers.TryGetValue(id, out var trace)) _answers.Add(id, trace = new AnswerTrace(id, story));
        if (trace.Story != story) world.Violate($"I11: story {story.Number} was given answer {id} of story {trace.Story.Number}");
        return trace;
    }

    /// <summary>A reply has begun.</summary>
    public void Start(string id, Story story, string way)
    {
        var trace = Trace(id, story);
        if (way == "adopted" && trace.IsStarted) world.Violate($"I3: {id} was adopted, of which somebody has seen something");
        if (way == "created" && trace.IsStarted) world.Violate($"I3: {id} was created twice");
        trace.IsStarted = true;
    }

    /// <summary>A client has an event.</summary>
    public void Event(AnswerTrace trace, int number, string data)
    {
        world.Scheduler.Note(Encoding.UTF8.GetBytes(data));
        while (trace.Events.Count < number) trace.Events.Add(null);
        if (trace.Events[number - 1] is { } before && before != data && IsLostCancel(before))
        {
            // The end that a cancel was given went with the process, before the store had it: what is continued is as if nobody had
            // cancelled.
            trace.Events.RemoveRange(number - 1, trace.Events.Count - number + 1);
            trace.Events.Add(null);
            trace.DoneAt = null;
        }
        if (trace.Events[number - 1] is { } seen && seen != data) world.Violate($"I1, I2: event {number} of {trace.Id} was\n{seen}\nand is\n{data}");
        trace.Events[number - 1] = data;
        if (trace.DoneAt < number) world.Violate($"I4: event {number} of {trace.Id} came, which had ended after {trace.DoneAt}");
    }

    private bool IsLostCancel(string data) => world.HasCrashed && data.Contains("\"cancelled\":true", StringComparison.Ordinal);

    /// <summary>A client was told that this is all.</summary>
    public void Done(AnswerTrace trace, int count)
    {
        if (trace.DoneAt is { } before && before != count) world.Violate($"I4: {trace.Id} ended after {count} events, and once after {before}");
        trace.DoneAt = count;
        if (trace.HasFailed) world.Violate($"I4: {trace.Id} had failed, and ended well");
        if (trace.Events.Count > count) world.Violate($"I4: {trace.Id} ended after {count} events, and somebody has {trace.Events.Count}");
    }

    /// <summary>A client was told that there won't be more.</summary>
    public void Fail(AnswerTrace trace)
    {
        trace.HasFailed = true;
        if (trace.DoneAt is not null) world.Violate($"I4: {trace.Id} had ended well, and failed");
    }

    /// <summary>Whatever anybody has seen is what an upstream has said, from the beginning and, where it ended well, to the end.</summary>
    public void Check()
    {
        foreach (var trace in _answers.Values)
        {
            var known = trace.Events.TakeWhile(static data => data is not null).ToList();
            if (trace.DoneAt is not null && known.Count != trace.DoneAt && trace.Events.Contains(null)) known = null;
            if (known is not null) CheckEvents(trace, known!);
        }
    }

    private void CheckEvents(AnswerTrace trace, List<string> events)
    {
        var story = trace.Story;
        var texts = Enumerable.Range(0, story.ChoiceCount).Select(static _ => new StringBuilder()).ToArray();
        var (roles, finishes, usages, isCancelled, isCut) = (new int[story.ChoiceCount], new int[story.ChoiceCount], 0, false, false);
        foreach (var data in events)
        {
            using var document = JsonDocument.Parse(data);
            var chunk = document.RootElement;
            if (chunk.GetProperty("id").GetString() != trace.Id) world.Violate($"I1: {trace.Id} has an event of another: {data}");
            if (chunk.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object) usages++;
            isCut |= chunk.TryGetProperty("sluice", out var mark) && mark.TryGetProperty("limit", out _);
            isCancelled |= chunk.TryGetProperty("sluice", out var own) && own.TryGetProperty("cancelled", out _);
            foreach (var choice in chunk.GetProperty("choices").EnumerateArray())
            {
                var index = choice.GetProperty("index").GetInt32();
                var delta = choice.GetProperty("delta");
                if (delta.TryGetProperty("role", out _)) roles[index]++;
                if (finishes[index] > 0) world.Violate($"I1: choice {index} of {trace.Id} goes on after its finish: {data}");
                if (choice.GetProperty("finish_reason").ValueKind == JsonValueKind.String) finishes[index]++;
                if (delta.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.String) texts[index].Append(content.GetString());
                if (delta.TryGetProperty("tool_calls", out var calls) && calls[0].GetProperty("function").TryGetProperty("arguments", out var arguments)) texts[index].Append(arguments.GetString());
            }
        }
        if (isCut) world.Money?.NoteCut(trace.Id);
        var isWhole = trace.DoneAt is not null && !isCancelled && !isCut;
        // A key may have come to be another request's.
        var isWanted = story.Facts.IsCancelled || story.Facts.IsDeleted || world.Stories.Any(other => other.Facts.IsCancelled && other.Facts.Key is { } key && key == story.Facts.Key);
        if (isCancelled && !isWanted) world.Violate($"{trace.Id} was cancelled by nobody");
        if (roles.Any(static count => count > 1) || finishes.Any(static count => count > 1) || usages > 1) world.Violate($"I1: {trace.Id} has something twice: {string.Join('\n', events)}");
        if (trace.DoneAt is not null && finishes.Any(static count => count != 1)) world.Violate($"I4: {trace.Id} ended well without a finish reason: {string.Join('\n', events)}");
        if (trace.DoneAt is not null && story.IsStream && usages != (story.IncludesUsage ? 1 : 0)) world.Violate($"I10: {trace.Id} has {usages} chunks with usage");
        if (!Enumerable.Range(0, int.Max(1, story.CallCount)).Any(call => Fits(story, call, texts, isWhole)))
            world.Violate($"I1, I13: {trace.Id} of story {story.Number} is {(isWhole ? "whole" : "a beginning")} and says '{string.Join("' and '", texts.Select(static text => text.ToString()))}'");
    }

    private static bool Fits(Story story, int call, StringBuilder[] texts, bool isWhole)
    {
        for (var choice = 0; choice < texts.Length; choice++)
        {
            var (said, truth) = (texts[choice].ToString(), story.Text(call, choice));
            // Arguments that nothing has come of are an object without members.
            if (story.HasTools && truth.Length == 0 && said == "{}") continue;
            if (isWhole ? said != truth : !truth.StartsWith(said, StringComparison.Ordinal)) return false;
        }
        return true;
    }
}
