namespace BytePort.Bench.Edge;

/// <summary>The peers' configuration: what a careful administrator would write, with nothing logged, as with us.</summary>
internal static class Peers
{
    private static readonly string[] NginxFolderKinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

    public static string Nginx(string folder, int port, int upstream) => $$"""
        worker_processes 1; daemon off; pid {{folder}}/nginx.pid; error_log /dev/null;
        events { worker_connections 1024; }
        http {
          include /etc/nginx/mime.types; sendfile on; tcp_nopush on; access_log off; server_tokens off; keepalive_requests 1000000000;
          open_file_cache max=1000 inactive=60s;
          {{NginxFolders(folder)}}
          upstream app { server 127.0.0.1:{{upstream}}; keepalive 64; keepalive_requests 1000000000; }
          server { listen 127.0.0.1:{{port}}; server_name {{EdgeBench.StaticHost}}; root {{folder}}/www; add_header Cache-Control "public, max-age=0, must-revalidate"; }
          server {
            listen 127.0.0.1:{{port}}; server_name {{EdgeBench.ProxyHost}};
            location / {
              proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
              proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
            }
          }
        }
        """;

    public static string Caddy(string folder, int port, int upstream) => $$"""
        {
          admin off
          auto_https off
          storage file_system {{folder}}/caddy
          default_bind 127.0.0.1
        }
        http://{{EdgeBench.StaticHost}}:{{port}} {
          root * {{folder}}/www
          header Cache-Control "public, max-age=0, must-revalidate"
          file_server
        }
        http://{{EdgeBench.ProxyHost}}:{{port}} {
          reverse_proxy 127.0.0.1:{{upstream}}
        }
        """;

    /// <summary>The app behind all three proxies: small and quick, so that it is not what is measured.</summary>
    public static string Upstream(string folder, int port) => $$"""
        worker_processes 1; daemon off; pid {{folder}}/upstream.pid; error_log /dev/null;
        events { worker_connections 1024; }
        http {
          access_log off; keepalive_requests 1000000000; default_type text/plain;
          {{NginxFolders(folder)}}
          server { listen 127.0.0.1:{{port}}; location / { return 200 "{{new string('x', 256)}}"; } }
        }
        """;

    private static string NginxFolders(string folder) => string.Join(' ', NginxFolderKinds.Select(kind => $"{kind}_temp_path {folder}/{kind};"));
}
