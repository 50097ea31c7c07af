using System.Text;
using Sluice.Server.Upstreams;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

public sealed class AnswerSnapshotTests
{
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
