using Sluice.Cli;
using Sluice.Server.Upstreams;

// Of whatever in the process asks another server.
if (EnvironmentProxy.Create(Environment.GetEnvironmentVariable) is { } proxy) HttpClient.DefaultProxy = proxy;
return await CommandLine.RunAsync(args, Terminal.OfProcess());
