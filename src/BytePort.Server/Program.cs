using BytePort.Server.Hosting;

return await Server.RunAsync(args);
