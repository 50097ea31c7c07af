using System.CommandLine;
using System.Globalization;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Spectre.Console;

namespace Sluice.Cli.Commands;

/// <summary>Writes a model's file with its matrices in another type.</summary>
internal static class QuantizeCommand
{
    private const int WorstShown = 3;
    private static readonly string s_mixes = string.Join(", ", QuantizationMix.All.Select(static mix => mix.Name));
    private static readonly string s_types = string.Join(", ", QuantizationMix.Types);

    public static Command Create(Terminal terminal)
    {
        var file = new Argument<string>("FILE") { Description = "the model, a GGUF file; preferably in F16, BF16 or F32" }.NotAnOption();
        var type = new Argument<string>("TYPE") { Description = s_mixes }.NotAnOption();
        var target = new Argument<string?>("TARGET") { Description = "the file to write; default is FILE with the type in its name, in the same folder", Arity = ArgumentArity.ZeroOrOne }.NotAnOption();
        var outputType = new Option<string?>("--output-type") { Description = "type of the output matrix; default is TYPE, but at least Q6_K or Q8_0", HelpName = "TYPE" };
        var requantize = new Option<bool>("--allow-requantize") { Description = "also quantize a model that is already quantized, which loses precision twice" };
        var force = new Option<bool>("--force") { Description = "replace TARGET if it exists" };
        var command = new Command("quantize", "Write a model with smaller weights") { file, type, target, outputType, requantize, force };
        command.SetAction((result, cancellation) =>
        {
            var source = result.GetRequiredValue(file);
            var wanted = MixOf(result.GetRequiredValue(type));
            var output = result.GetValue(outputType) is { } text ? OutputTypeOf(text) : (GgufTensorType?)null;
            return RunAsync(terminal, source, wanted, output, result.GetValue(target) ?? TargetFor(source, wanted), result.GetValue(requantize), result.GetValue(force), cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        Terminal terminal, string path, QuantizationMix mix, GgufTensorType? outputType, string target, bool allowsRequantize, bool replaces, CancellationToken cancellation)
    {
        if (!replaces && File.Exists(target)) throw new CliException($"{target} already exists; use --force to replace it.");
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var registration = terminal.OnInterrupt(interrupt.Cancel);
        using var source = GgufFile.Open(path);
        if (Path.GetFullPath(path) == Path.GetFullPath(target)) throw new CliException($"{target} is the model itself; name another file to write.");
        var plan = QuantizationPlan.Create(source, mix, outputType);
        if (!allowsRequantize && plan.FindRequantized(source).FirstOrDefault() is { } lossy)
        {
            throw new CliException(
                $"{path} is already quantized ({lossy.Name} is {source.GetTensor(lossy.Name).Type}); start from a model in F16, BF16 or F32, or lose precision twice with --allow-requantize.");
        }

        var written = new List<QuantizedTensor>();
        var part = target + ".part";
        try
        {
            await using (var stream = new FileStream(part, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
            {
                // The whole work is computing and writing; the terminal's thread draws meanwhile.
                await WithProgressAsync(terminal, plan, report => Task.Run(() => ModelQuantizer.Write(source, plan, stream, report, interrupt.Token)), written);
                stream.Flush(flushToDisk: true);
            }

            File.Move(part, target, overwrite: replaces);
        }
        finally
        {
            File.Delete(part);
        }

        Report(terminal, source, target, written);
        return ExitCodes.Success;
    }

    private static async Task WithProgressAsync(Terminal terminal, QuantizationPlan plan, Func<Action<QuantizedTensor>, Task> run, List<QuantizedTensor> written)
    {
        if (!terminal.IsOutputInteractive)
        {
            await run(written.Add);
            return;
        }

        await terminal.CreateConsole().Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask("quantize", maxValue: Math.Max(plan.SizeBytes, 1));
                await run(tensor =>
                {
                    written.Add(tensor);
                    task.Description = Markup.Escape(tensor.After.Name);
                    task.Increment(tensor.After.SizeBytes);
                });
            });
    }

    private static void Report(Terminal terminal, GgufFile source, string target, List<QuantizedTensor> written)
    {
        var types = written.GroupBy(static tensor => tensor.After.Type).OrderByDescending(static group => group.Sum(static tensor => tensor.After.SizeBytes))
            .Select(static group => $"{group.Count()} tensors {group.Key}");
        terminal.Output.WriteLine($"{target}  {ByteSize.Format(new FileInfo(target).Length)} of {ByteSize.Format(source.SizeBytes)}  {string.Join(", ", types)}");
        var changed = written.Where(static tensor => tensor.SquaredNorm > 0).ToList();
        if (changed.Count == 0) return;
        var all = Math.Sqrt(changed.Sum(static tensor => tensor.SquaredError) / changed.Sum(static tensor => tensor.SquaredNorm));
        var worst = changed.OrderByDescending(static tensor => tensor.RelativeError).Take(WorstShown)
            .Select(static tensor => string.Create(CultureInfo.InvariantCulture, $"{tensor.After.Name} {100 * tensor.RelativeError:0.00} %"));
        terminal.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"root mean square error {100 * all:0.00} % of the weights changed; most in {string.Join(", ", worst)}"));
    }

    private static QuantizationMix MixOf(string text) =>
        QuantizationMix.Find(text) ?? throw new CliException($"TYPE '{text}' is not a type that can be written; the types are {s_mixes}.");

    private static GgufTensorType OutputTypeOf(string text)
    {
        var type = QuantizationMix.Types.Where(type => type.ToString().Equals(text, StringComparison.OrdinalIgnoreCase)).ToArray();
        return type.Length == 1 ? type[0] : throw new CliException($"--output-type '{text}' is not a type that can be written; the types are {s_types}.");
    }

    private static string TargetFor(string path, QuantizationMix mix) =>
        Path.Combine(Path.GetDirectoryName(path) ?? "", ModelFileName.WithQuantisation(Path.GetFileName(path), mix.Name));
}
