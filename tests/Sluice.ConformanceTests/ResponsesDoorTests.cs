using Sluice.ConformanceTests.Harness;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The Responses API with the model that the repository carries. The script has the assertions.</summary>
[Collection(DefaultModelCollection.Name)]
public sealed class ResponsesDoorTests(DefaultModelHub fixture)
{
    [Fact]
    public Task Python_reads_responses() => ClientProcess.PythonAsync(fixture.Hub, "responses.py");
}
