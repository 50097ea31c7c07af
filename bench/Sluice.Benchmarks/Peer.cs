using System.Diagnostics;

namespace Sluice.Benchmarks;

/// <summary>A runnable copy of a llama.cpp folder, and processes that are ended with it.</summary>
internal static class Peer
{
    /// <summary>
    /// Copies the folder to a temporary one and makes links of the library files that only hold the name of another: copies of the folder
    /// that did not keep symbolic links have them so.
    /// </summary>
    public static string Prepare(string source)
    {
        string target = Directory.CreateTempSubdirectory("sluice-peer-").FullName;
        foreach (string file in Directory.GetFiles(source))
        {
            string copy = Path.Combine(target, Path.GetFileName(file));
            var info = new FileInfo(file);
            if (info.LinkTarget is { } link)
            {
                File.CreateSymbolicLink(copy, link);
                continue;
            }

            if (file.Contains(".so", StringComparison.Ordinal) && info.Length < 200)
            {
                File.CreateSymbolicLink(copy, File.ReadAllText(file).Trim());
                continue;
            }

            File.Copy(file, copy);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(
                    copy, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }

        return target;
    }

    public static Process Start(string file, params string[] arguments)
    {
        var start = new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        Process process = Process.Start(start)!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        return process;
    }

    public static string Run(string file, params string[] arguments)
    {
        using Process process = Start(file, arguments);
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output;
    }
}
