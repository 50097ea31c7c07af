using System.Diagnostics;
using Xunit;

namespace Sluice.ConformanceTests.Harness;

/// <summary>A program that reads numbers, does so many conversations for each, and says <c>ok</c>. It ends by itself at the first that is wrong.</summary>
public sealed class BatchClient : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    private readonly Process _process;
    private readonly Task<string> _errors;

    /// <param name="process">Ended here.</param>
    public BatchClient(Process process) => (_process, _errors) = (process, process.StandardError.ReadToEndAsync());

    /// <summary>So many conversations more.</summary>
    public async Task ConverseAsync(int count)
    {
        await _process.StandardInput.WriteLineAsync($"{count}");
        await _process.StandardInput.FlushAsync();
        using var patience = new CancellationTokenSource(s_patience);
        var answer = await _process.StandardOutput.ReadLineAsync(patience.Token);
        if (answer is null) Assert.Fail(await _errors);
        Assert.Equal("ok", answer);
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
