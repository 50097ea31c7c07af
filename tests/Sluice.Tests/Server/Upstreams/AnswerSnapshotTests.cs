using System.Text;
using Sluice.Server.Storage;
using Sluice.Server.Upstreams;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

public sealed class AnswerSnapshotTests
{
    // As version 1 of the store has it.
    [Fact]
    public void A_snapshot_of_before_texts_were_scored_is_read()
    {
        const string Stored =
            """
            {"model":"a","name":"b","created":1,"rendered":"2026-01-01T00:00:00.0000000+00:00","seed":2,"events":3,"identity":"i","prompt":4,"cached":5,"reached":6,
             "choices":[{"tokens":"AQAAAA==","digest":7,"is_call_forced":false,"held":[]}]}
            """;
        var snapshot = AnswerSnapshot.TryRead(new StoredRequest([], Encoding.UTF8.GetBytes(Stored)));
        Assert.Equal((5, 6, 0), (snapshot!.Progress!.Choices[0].CachedPromptTokens, snapshot.Progress.Choices[0].ReachedPromptTokens, snapshot.Progress.Choices[0].EchoedCount));
        Assert.Equal([1], snapshot.Progress.Choices[0].Tokens);
    }

    [Theory]
    [InlineData("""{"model":"m","n":3,"messages":[]}""", 3)]
    [InlineData("""{"model":"m","messages":[{"n":2}],"n":1}""", 1)]
    [InlineData("""{"model":"m","messages":[{"n":2}]}""", 1)]
    [InlineData("""{"model":"m","n":null}""", 1)]
    [InlineData("""{"model":"m","n":2,"prompt":["a","b"]}""", 4)]
    public void Choices_of_an_answer_that_had_not_begun_are_those_of_its_request(string body, int count)
    {
        var suspended = new AnswerSnapshot
        {
            ModelId = "m",
            ModelName = "m",
            Body = Encoding.UTF8.GetBytes(body),
            Created = 0,
            RenderedAt = DateTimeOffset.UnixEpoch,
            Seed = 0,
        };

        Assert.Equal(count, suspended.ChoiceCount);
    }
}
