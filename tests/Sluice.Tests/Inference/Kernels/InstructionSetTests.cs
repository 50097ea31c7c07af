using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Sluice.Tests.Inference.Truth;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

/// <summary>
/// Runs the tests of the kernels in processes from which the runtime hides instruction sets, so that one machine exercises every path. The
/// child is this test program; a variable tells it what it should find, and keeps it from starting children.
/// </summary>
[Collection(ShippedModel.Collection)]
public sealed partial class InstructionSetTests(ShippedModel shipped, ITestOutputHelper output)
{
    private const string ExpectedPath = "SLUICE_TEST_KERNEL_PATH";
    private const string ExpectedLogits = "SLUICE_TEST_LOGITS";

    private static readonly string[] Switches = ["DOTNET_EnableAVX512", "DOTNET_EnableAVX2", "DOTNET_EnableHWIntrinsic"];

    // Generous: without vectors everything is slow, and the machine may be busy.
    private static readonly TimeSpan ChildTimeMax = TimeSpan.FromMinutes(4);

    private static readonly Type[] ChildTests =
    [
        typeof(InstructionSetTests), typeof(MatrixKernelTests), typeof(QuantizedActivationsTests), typeof(VectorMathTests),
        typeof(Quantization.RowReaderTests), typeof(AttentionKernelTests), typeof(RopeTableTests),
    ];

    [Theory]
    [InlineData("DOTNET_EnableAVX512", KernelPath.Avx2)]
    [InlineData("DOTNET_EnableAVX2", KernelPath.Vector128)]
    [InlineData("DOTNET_EnableHWIntrinsic", KernelPath.Scalar)]
    internal async Task The_kernels_pass_with_instructions_hidden(string variable, KernelPath left)
    {
        // A process that hides something already, as .ci/run starts them, is such a child itself.
        if (IsChild || Switches.Any(name => Environment.GetEnvironmentVariable(name) == "0") || !KernelPaths.IsSupported(left))
        {
            return;
        }

        var root = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        var start = new ProcessStartInfo(Path.Combine(root, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(typeof(InstructionSetTests).Assembly.Location);
        foreach (var type in ChildTests)
        {
            start.ArgumentList.Add("-class");
            start.ArgumentList.Add(type.FullName!);
        }

        start.ArgumentList.Add("-noColor");
        start.Environment[variable] = "0";
        start.Environment[ExpectedPath] = left.ToString();
        start.Environment[ExpectedLogits] = LogitsDigest();

        using var child = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(ChildTimeMax);
        try
        {
            var errors = child.StandardError.ReadToEndAsync(limit.Token);
            var text = await child.StandardOutput.ReadToEndAsync(limit.Token);
            await child.WaitForExitAsync(limit.Token);
            Assert.True(child.ExitCode == 0, text + await errors);
            var summary = Summary().Match(text);
            Assert.True(summary.Success && int.Parse(summary.Groups[1].ValueSpan, provider: null) > ChildTests.Length, text);
            output.WriteLine(summary.Value);
        }
        finally
        {
            if (!child.HasExited)
            {
                child.Kill(entireProcessTree: true);
            }
        }
    }

    [Fact]
    public void The_best_path_is_the_widest_that_the_runtime_shows()
    {
        var expected = Environment.GetEnvironmentVariable(ExpectedPath) is { } name
            ? Enum.Parse<KernelPath>(name)
            : Enum.GetValues<KernelPath>().Where(KernelPaths.IsSupported).Max();
        Assert.Equal(expected, KernelPaths.Best);
    }

    [Fact]
    public void The_logits_are_those_of_the_parent_process() =>
        Assert.Equal(Environment.GetEnvironmentVariable(ExpectedLogits) ?? LogitsDigest(), LogitsDigest());

    // A few tokens only: without vectors one takes a tenth of a second. GreedyTruthTests read all of them.
    [Fact]
    public void The_shipped_model_still_says_what_llama_cpp_says()
    {
        var positions = ForcedPosition.Run(shipped.Model, [TruthCase.All.Single(c => c.Name == "raw prose")], positionCount: 6);
        Assert.Equal(6, positions.Count);
        Assert.All(positions, p => Assert.True(p.Gap < GreedyTruthTests.NearTie));
    }

    private static bool IsChild => Environment.GetEnvironmentVariable(ExpectedPath) is not null;

    private static string LogitsDigest()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var name in (string[])["llama", "llama-narrow-Q5_1", "qwen3-mixed"])
        {
            using var tiny = TinyModelFile.Load(name);
            Add(tiny);
        }

        foreach (var model in TinyArchitectures.Decoders)
        {
            using var tiny = TinyModelFile.Load(model);
            Add(tiny);
        }

        foreach (var name in (string[])["qwen35moe", "gemma4-experts", "deepseek2", "granitehybrid"])
        {
            using var tiny = TinyModelFile.LoadArchitecture(name, GgufTensorType.Q8_0);
            Add(tiny);
        }

        return Convert.ToHexString(hash.GetHashAndReset());

        void Add(TinyModelFile tiny)
        {
            foreach (var logprob in tiny.Logprobs([.. Enumerable.Range(1, 40)]))
            {
                hash.AppendData(BitConverter.GetBytes(logprob));
            }
        }
    }

    [GeneratedRegex(@"Total: (\d+)[^\r\n]*")]
    private static partial Regex Summary();
}
