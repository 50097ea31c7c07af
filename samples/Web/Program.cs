// A web application with users of its own, who reach a model under /ai/v1 and own their answers.
// dotnet run -c Release --project samples/Web -- --model models/SmolLM2-135M-Instruct.Q4_1.gguf
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Sluice.Server;
using Sluice.Server.Configuration;

var builder = WebApplication.CreateBuilder(args);
var model = builder.Configuration["model"] ?? throw new InvalidOperationException("Say which model with --model FILE.gguf.");
builder.WebHost.UseSluiceConnections();
builder.Services.AddSluice(new SluiceOptions { Models = [new ModelOptions("small", model)] });
builder.Services.AddAuthentication().AddBearerToken();
builder.Services.AddAuthorization();

var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();
// A user is whoever knows the password of the demonstration; an application would ask its directory.
app.MapPost("/login", (string name, string password) =>
    name.Length > 0 && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(password), "demo"u8)
        ? Results.SignIn(new ClaimsPrincipal(new ClaimsIdentity([new Claim("sub", name)], "Bearer")))
        : Results.Unauthorized());
app.MapGroup("/ai").MapSluice().RequireAuthorization();
app.MapSluiceHealth();
app.Run();
