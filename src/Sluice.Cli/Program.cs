using Sluice.Cli;

return await CommandLine.RunAsync(args, Terminal.OfProcess());
