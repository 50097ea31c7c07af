using Sluice.Inference;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;

namespace Sluice.Cli.Doctor;

/// <summary>Memory, processor, and files that can be open.</summary>
internal static class MachineChecks
{
    // The smallest useful model, with its buffers and a conversation.
    private const long FreeBytesMin = 1_000_000_000;

    // Fewer are soon taken by one page with a few tabs.
    private const int ConnectionsMin = 100;

    public static IEnumerable<Finding> Run()
    {
        var free = HostMachine.FreeMemoryBytes;
        yield return free >= FreeBytesMin
            ? Finding.Fine("memory", $"{ByteSize.Format(MachineMemory.Bytes)}, {ByteSize.Format(free)} of it free")
            : Finding.Wrong("memory", $"only {ByteSize.Format(free)} are free; stop other programs, or choose a small model with 'sluice pull'");
        yield return HostMachine.IsFast
            ? Finding.Fine("processor", $"{HostMachine.InstructionSet}, {Plural.Of(Environment.ProcessorCount, "core")}")
            : Finding.Wrong("processor", $"{HostMachine.InstructionSet}: answers are slow without AVX2; use another machine, or an upstream");
        if (FileLimit.ConnectionsMax() is not { } connections) yield break;
        yield return connections >= ConnectionsMin
            ? Finding.Fine("open files", $"enough for {Plural.Of(connections, "connection")}")
            : Finding.Wrong("open files", $"enough for {Plural.Of(connections, "connection")} only; raise the limit with 'ulimit -n 65536' before 'sluice serve'");
    }
}
