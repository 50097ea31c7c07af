using System.Reflection;
using System.Text;
using Sluice.Client;
using Sluice.Extensions.AI;
using Sluice.Server;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>
/// The public members of the packages that applications use stand in docs/api, so that a change of them is seen in review.
/// <c>SLUICE_WRITE_API=1</c> writes the listings.
/// </summary>
public sealed class PublicApiTests
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static TheoryData<string> Packages => ["Sluice.Server", "Sluice.Extensions.AI", "Sluice.Client"];

    [Theory]
    [MemberData(nameof(Packages))]
    public void The_listing_is_what_the_package_has(string package)
    {
        var assembly = package switch
        {
            "Sluice.Server" => typeof(SluiceServer).Assembly,
            "Sluice.Extensions.AI" => typeof(SluiceChatClient).Assembly,
            _ => typeof(ResumingHandler).Assembly,
        };
        var path = $"docs/api/{package}.txt";
        var text = string.Concat(assembly.GetExportedTypes().OrderBy(static type => type.FullName, StringComparer.Ordinal).Select(Describe));
        if (Environment.GetEnvironmentVariable("SLUICE_WRITE_API") == "1") File.WriteAllText(RepositoryFiles.FullPath(path), text);
        Assert.Equal(RepositoryFiles.Read(path), text, ignoreLineEndingDifferences: true);
    }

    private static string Describe(Type type)
    {
        var text = new StringBuilder();
        var kind = type.IsEnum ? "enum" : type.IsInterface ? "interface" : type.IsValueType ? "struct"
            : type.IsAssignableTo(typeof(MulticastDelegate)) ? "delegate" : type is { IsAbstract: true, IsSealed: true } ? "static class" : type.IsSealed ? "sealed class" : "class";
        text.Append($"{kind} {type.FullName}");
        if (!type.IsEnum && type.BaseType is { } parent && parent != typeof(object) && !type.IsValueType) text.Append($" : {Name(parent)}");
        text.Append('\n');
        if (type.IsEnum)
        {
            foreach (var name in Enum.GetNames(type)) text.Append($"  {name}\n");
            return text.ToString();
        }
        var isRecord = type.GetMethod("<Clone>$") is not null;
        var lines = type.GetMembers(Declared).Select(member => Describe(member, isRecord)).OfType<string>().Distinct().Order(StringComparer.Ordinal);
        foreach (var line in lines) text.Append($"  {line}\n");
        return text.ToString();
    }

    // Null for what nobody can call, or the compiler has written for a record.
    private static string? Describe(MemberInfo member, bool isRecord) => member switch
    {
        ConstructorInfo { IsStatic: false } constructor when IsSeen(constructor) => $"new({Parameters(constructor)})",
        PropertyInfo property when Accessors(property) is { Length: > 0 } accessors && !(isRecord && property.Name == "EqualityContract") => $"{Static(property.GetMethod ?? property.SetMethod)}{Name(property.PropertyType)} {property.Name} {{ {accessors}}}",
        MethodInfo { IsSpecialName: false } method when IsSeen(method) && !(isRecord && IsOfRecord(method)) => $"{Static(method)}{Name(method.ReturnType)} {method.Name}{Generic(method)}({Parameters(method)})",
        FieldInfo field when (field.IsPublic || field.IsFamily) && !field.IsSpecialName => $"{(field.IsLiteral ? "const " : field.IsStatic ? "static " : "")}{Name(field.FieldType)} {field.Name}",
        EventInfo found when IsSeen(found.AddMethod) => $"event {Name(found.EventHandlerType!)} {found.Name}",
        _ => null,
    };

    private static bool IsSeen(MethodBase? method) => method is { IsPublic: true } or { IsFamily: true } or { IsFamilyOrAssembly: true };

    private static bool IsOfRecord(MethodInfo method) => method.Name is "<Clone>$" or "Equals" or "GetHashCode" or "PrintMembers" or "Deconstruct";

    private static string Static(MethodInfo? method) => method is { IsStatic: true } ? "static " : "";

    private static string Generic(MethodInfo method) => method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(Name))}>" : "";

    private static string Accessors(PropertyInfo property) =>
        (IsSeen(property.GetMethod) ? "get; " : "") + (!IsSeen(property.SetMethod) ? "" : property.SetMethod!.ReturnParameter.GetRequiredCustomModifiers().Length > 0 ? "init; " : "set; ");

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        $"{(parameter.IsOut ? "out " : parameter.ParameterType.IsByRef ? "ref " : "")}{Name(parameter.ParameterType)} {parameter.Name}{(parameter.HasDefaultValue ? " = …" : "")}"));

    private static string Name(Type type)
    {
        if (type.IsByRef) return Name(type.GetElementType()!);
        if (type.IsArray) return Name(type.GetElementType()!) + "[]";
        if (Nullable.GetUnderlyingType(type) is { } inner) return Name(inner) + "?";
        if (!type.IsGenericType) return type.Name;
        var name = type.Name.Split('`')[0];
        return $"{name}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
    }
}
