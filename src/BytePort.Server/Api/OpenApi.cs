using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace BytePort.Server.Api;

/// <summary>The description of the API, OpenAPI 3.1, made from the code; a committed copy is tested against it.</summary>
internal static class OpenApi
{
    public static void Configure(OpenApiOptions options)
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo { Title = "BytePort", Version = "v1", Description = "Deploy, observe and undo. Errors are problem details (RFC 9457) with a stable code." };
            // The address differs from platform to platform, and the committed copy must not.
            document.Servers = [new OpenApiServer { Url = "/" }];
            document.Components ??= new OpenApiComponents();
            document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
            {
                ["token"] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "A token from login.json or 'byteport login'." },
            };
            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
            if (context.Description.ActionDescriptor.EndpointMetadata.OfType<Microsoft.AspNetCore.Authorization.IAuthorizeData>().Any())
            {
                operation.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference("token", context.Document)] = [] }];
            }

            return Task.CompletedTask;
        });
    }
}
