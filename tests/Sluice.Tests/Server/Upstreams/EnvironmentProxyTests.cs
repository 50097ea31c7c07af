using System.Net;
using System.Net.Sockets;
using Sluice.Server.Upstreams;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>The outbound proxy of the environment, as curl, Go and undici read it.</summary>
public sealed class EnvironmentProxyTests
{
    [Theory]
    [InlineData("http://127.0.0.1:8000/v1")]
    [InlineData("http://127.8.9.1:8000/v1")]
    [InlineData("http://localhost:8000/v1")]
    [InlineData("http://LOCALHOST./v1")]
    [InlineData("http://gpu.localhost:8000/v1")]
    [InlineData("http://[::1]:8000/v1")]
    [InlineData("http://[::ffff:127.0.0.2]:8000/v1")]
    [InlineData("http://0.0.0.0:8000/v1")]
    [InlineData("https://localhost:8000/v1")]
    public void B100_Loopback_is_reached_without_a_proxy(string url)
    {
        var proxy = Create(("HTTP_PROXY", "http://proxy:1"), ("HTTPS_PROXY", "http://proxy:1"))!;
        Assert.Null(proxy.GetProxy(new Uri(url)));
        Assert.True(proxy.IsBypassed(new Uri(url)));
    }

    [Theory]
    [InlineData("*", "http://gpu/v1", true)]
    [InlineData("gpu", "http://gpu/v1", true)]
    [InlineData("GPU", "http://gpu:8000/v1", true)]
    [InlineData("gpu", "http://other/v1", false)]
    [InlineData("example.com", "http://example.com/v1", true)]
    [InlineData("example.com", "http://a.b.example.com/v1", true)]
    [InlineData("example.com", "http://notexample.com/v1", false)]
    [InlineData(".example.com", "http://a.example.com/v1", true)]
    [InlineData(".example.com", "http://example.com/v1", false)]
    [InlineData("*.example.com", "http://a.example.com/v1", true)]
    [InlineData("example.com.", "http://example.com./v1", true)]
    [InlineData("gpu:8000", "http://gpu:8000/v1", true)]
    [InlineData("gpu:8000", "http://gpu:8001/v1", false)]
    [InlineData("gpu:443", "https://gpu/v1", true)]
    [InlineData("gpu:80", "https://gpu/v1", false)]
    [InlineData("10.0.0.0/8", "http://10.1.2.3:8000/v1", true)]
    [InlineData("10.9.9.9/8", "http://10.1.2.3:8000/v1", true)]
    [InlineData("10.0.0.0/8", "http://11.1.2.3/v1", false)]
    [InlineData("10.0.0.0/8", "http://gpu/v1", false)]
    [InlineData("0.0.0.0/0", "http://1.2.3.4/v1", true)]
    [InlineData("10.1.2.3", "http://10.1.2.3:8000/v1", true)]
    [InlineData("10.1.2.3:8000", "http://10.1.2.3:8000/v1", true)]
    [InlineData("10.1.2.3:8001", "http://10.1.2.3:8000/v1", false)]
    [InlineData("10.1.2", "http://10.1.2.3/v1", false)]
    [InlineData("fd00::/8", "http://[fd12::1]:8000/v1", true)]
    [InlineData("fd12::1", "http://[fd12:0::1]/v1", true)]
    [InlineData("[fd12::1]:8000", "http://[fd12::1]:8000/v1", true)]
    [InlineData("[fd12::1]:8001", "http://[fd12::1]:8000/v1", false)]
    [InlineData("a, b  gpu\tc", "http://gpu/v1", true)]
    [InlineData(",, ,", "http://gpu/v1", false)]
    [InlineData("/8,:,[,.,*.", "http://gpu/v1", false)]
    public void B101_NO_PROXY_is_read_as_others_read_it(string exceptions, string url, bool isDirect)
    {
        foreach (var name in (string[])["NO_PROXY", "no_proxy"])
            Assert.Equal(isDirect, Create(("ALL_PROXY", "http://proxy:1"), (name, exceptions))!.IsBypassed(new Uri(url)));
    }

    [Fact]
    public void Each_scheme_has_its_own_proxy_and_lower_case_comes_first()
    {
        var proxy = Create(("HTTP_PROXY", "upper:1"), ("http_proxy", "lower:2"), ("ALL_PROXY", "socks5h://all:3"))!;
        Assert.Equal(new Uri("http://lower:2"), proxy.GetProxy(new Uri("http://gpu")));
        Assert.Equal(new Uri("socks5://all:3"), proxy.GetProxy(new Uri("https://gpu")));
        Assert.Null(Create(("HTTP_PROXY", "proxy:1"))!.GetProxy(new Uri("https://gpu")));
        Assert.Null(Create(("NO_PROXY", "gpu")));
        Assert.Null(Create(("HTTP_PROXY", "")));
        Assert.Null(Create(("HTTP_PROXY", "proxy:1"), ("REQUEST_METHOD", "GET")));
    }

    [Fact]
    public void The_password_is_the_proxys_only()
    {
        var proxy = Create(("HTTPS_PROXY", "http://a%40b:c%3Ad@proxy:1"))!;
        var credential = proxy.Credentials!.GetCredential(new Uri("http://a%40b:c%3Ad@proxy:1"), "Basic")!;
        Assert.Equal(("a@b", "c:d"), (credential.UserName, credential.Password));
        Assert.Null(proxy.Credentials.GetCredential(new Uri("http://other:1"), "Basic"));
    }

    [Fact]
    public async Task A_request_goes_the_way_that_it_says()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        using var http = new HttpClient(new SocketsHttpHandler { Proxy = Create(("HTTP_PROXY", $"http://u:p@{listener.LocalEndpoint}")) });
        using var direct = await http.PostAsync(new Uri(upstream.Url), new StringContent("{}"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, direct.StatusCode);

        var asking = http.GetStringAsync(new Uri("http://gpu.test/v1"), TestContext.Current.CancellationToken);
        using var client = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream());
        Assert.Equal("GET http://gpu.test/v1 HTTP/1.1", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        await client.GetStream().WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("ok", await asking);
    }

    private static EnvironmentProxy? Create(params (string Name, string Value)[] environment) =>
        EnvironmentProxy.Create(name => environment.FirstOrDefault(variable => variable.Name == name).Value);
}
