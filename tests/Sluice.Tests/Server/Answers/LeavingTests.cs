using Sluice.Server.Answers;
using Sluice.Server.Storage;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>What becomes of an answer without a reader, row by row: docs/design/0011 and 0012 say why.</summary>
public sealed class LeavingTests
{
    [Theory]
    // What the request wants comes first.
    [InlineData("cancel", true, true, "memory", "opaque", "cancel")]
    [InlineData("cancel", false, false, "store", "suspendable", "cancel")]
    [InlineData("cancel", true, false, "memory", "suspended", "cancel")]
    [InlineData("continue", false, false, "memory", "opaque", "stay")]
    [InlineData("continue", false, true, "off", "suspendable", "stay")]
    [InlineData("continue", false, false, "memory", "suspended", "stay")]
    // With a key the client comes back: another server's answer is paid, the engine has a time and a budget.
    [InlineData("default", true, false, "memory", "opaque", "stay detached")]
    [InlineData("default", true, true, "store", "suspendable", "stay detached")]
    [InlineData("default", true, true, "off", "suspendable", "stay detached")]
    [InlineData("default", true, true, "memory", "suspending", "stay")]
    [InlineData("default", true, false, "memory", "suspended", "stay")]
    // Without a key the engine stops at once, seen or not, unless nothing may be kept.
    [InlineData("default", false, true, "memory", "suspendable", "suspend")]
    [InlineData("default", false, false, "store", "suspendable", "suspend")]
    [InlineData("default", false, true, "off", "suspendable", "cancel")]
    [InlineData("default", false, false, "off", "suspendable", "stay unseen")]
    [InlineData("default", false, false, "memory", "suspending", "stay")]
    // And another server's answer has the time of an automatic retry, if nobody has seen anything of it.
    [InlineData("default", false, true, "memory", "opaque", "cancel")]
    [InlineData("default", false, false, "memory", "opaque", "stay unseen later")]
    [InlineData("default", false, false, "off", "opaque", "stay unseen")]
    // Nobody knows the id of what nobody has seen.
    [InlineData("default", false, false, "store", "suspended", "stay adoptable")]
    [InlineData("default", false, true, "memory", "suspended", "stay")]
    // Whatever must not be kept is not kept suspended either.
    [InlineData("default", true, true, "off", "suspended", "cancel")]
    public void What_becomes_of_an_answer_that_its_last_reader_has_left(string policy, bool hasKey, bool hasSent, string retention, string stage, string expected) =>
        Assert.Equal(expected, Word(Leaving.Decide(Parse<DisconnectPolicy>(policy), hasKey, hasSent, Parse<Retention>(retention), Parse<ProductionStage>(stage))));

    [Theory]
    [InlineData("unseen", "memory", "opaque", "cancel")]
    [InlineData("unseen", "memory", "suspendable", "suspend")]
    [InlineData("unseen", "off", "suspendable", "cancel")]
    [InlineData("unseen", "store", "suspending", "stay")]
    [InlineData("unseen", "store", "suspended", "stay")]
    [InlineData("detached", "memory", "opaque", "stay later")]
    [InlineData("detached", "store", "suspendable", "suspend")]
    [InlineData("detached", "off", "suspendable", "cancel")]
    [InlineData("detached", "memory", "suspending", "stay")]
    [InlineData("adoptable", "memory", "suspended", "cancel")]
    [InlineData("adoptable", "store", "suspending", "cancel")]
    public void What_becomes_of_it_when_its_time_is_up(string timer, string retention, string stage, string expected) =>
        Assert.Equal(expected, Word(Leaving.DecideTimeUp(Parse<LeavingTimer>(timer), Parse<Retention>(retention), Parse<ProductionStage>(stage))));

    private static T Parse<T>(string word)
        where T : struct => Enum.Parse<T>(word, ignoreCase: true);

#pragma warning disable CA1308 // Words for a table.
    private static string Word(Leaving leaving) =>
        (leaving.Act + (leaving.Timer == LeavingTimer.None ? "" : $" {leaving.Timer}") + (leaving.SuspendsLater ? " later" : "")).ToLowerInvariant();
#pragma warning restore CA1308
}
