using System.Collections.Frozen;

namespace BytePort.Builds.Sites;

/// <summary>Content type by file name (IANA media types), and whether such content shrinks.</summary>
internal static class ContentTypes
{
    private const string Binary = "application/octet-stream";

    private static readonly FrozenDictionary<string, (string Type, bool Shrinks)> ByExtension = new Dictionary<string, (string, bool)>
    {
        [".html"] = ("text/html; charset=utf-8", true),
        [".htm"] = ("text/html; charset=utf-8", true),
        [".css"] = ("text/css; charset=utf-8", true),
        [".js"] = ("text/javascript; charset=utf-8", true),
        [".mjs"] = ("text/javascript; charset=utf-8", true),
        [".cjs"] = ("text/javascript; charset=utf-8", true),
        [".json"] = ("application/json; charset=utf-8", true),
        [".map"] = ("application/json; charset=utf-8", true),
        [".webmanifest"] = ("application/manifest+json; charset=utf-8", true),
        [".jsonld"] = ("application/ld+json; charset=utf-8", true),
        [".geojson"] = ("application/geo+json; charset=utf-8", true),
        [".xml"] = ("application/xml; charset=utf-8", true),
        [".xhtml"] = ("application/xhtml+xml; charset=utf-8", true),
        [".rss"] = ("application/rss+xml; charset=utf-8", true),
        [".atom"] = ("application/atom+xml; charset=utf-8", true),
        [".txt"] = ("text/plain; charset=utf-8", true),
        [".text"] = ("text/plain; charset=utf-8", true),
        [".log"] = ("text/plain; charset=utf-8", true),
        [".md"] = ("text/markdown; charset=utf-8", true),
        [".csv"] = ("text/csv; charset=utf-8", true),
        [".tsv"] = ("text/tab-separated-values; charset=utf-8", true),
        [".vtt"] = ("text/vtt; charset=utf-8", true),
        [".ics"] = ("text/calendar; charset=utf-8", true),
        [".vcf"] = ("text/vcard; charset=utf-8", true),
        [".yaml"] = ("application/yaml; charset=utf-8", true),
        [".yml"] = ("application/yaml; charset=utf-8", true),
        [".toml"] = ("application/toml; charset=utf-8", true),
        [".svg"] = ("image/svg+xml; charset=utf-8", true),
        [".wasm"] = ("application/wasm", true),
        [".glb"] = ("model/gltf-binary", true),
        [".gltf"] = ("model/gltf+json", true),
        [".obj"] = ("model/obj", true),
        [".stl"] = ("model/stl", true),
        [".ttf"] = ("font/ttf", true),
        [".otf"] = ("font/otf", true),
        [".eot"] = ("application/vnd.ms-fontobject", true),
        [".woff"] = ("font/woff", false),
        [".woff2"] = ("font/woff2", false),
        [".ico"] = ("image/x-icon", true),
        [".bmp"] = ("image/bmp", true),
        [".png"] = ("image/png", false),
        [".apng"] = ("image/apng", false),
        [".jpg"] = ("image/jpeg", false),
        [".jpeg"] = ("image/jpeg", false),
        [".gif"] = ("image/gif", false),
        [".webp"] = ("image/webp", false),
        [".avif"] = ("image/avif", false),
        [".jxl"] = ("image/jxl", false),
        [".heic"] = ("image/heic", false),
        [".tif"] = ("image/tiff", false),
        [".tiff"] = ("image/tiff", false),
        [".mp3"] = ("audio/mpeg", false),
        [".m4a"] = ("audio/mp4", false),
        [".aac"] = ("audio/aac", false),
        [".ogg"] = ("audio/ogg", false),
        [".oga"] = ("audio/ogg", false),
        [".opus"] = ("audio/ogg", false),
        [".flac"] = ("audio/flac", false),
        [".wav"] = ("audio/wav", false),
        [".weba"] = ("audio/webm", false),
        [".mp4"] = ("video/mp4", false),
        [".m4v"] = ("video/mp4", false),
        [".webm"] = ("video/webm", false),
        [".ogv"] = ("video/ogg", false),
        [".mov"] = ("video/quicktime", false),
        [".m3u8"] = ("application/vnd.apple.mpegurl", true),
        [".ts"] = ("video/mp2t", false),
        [".pdf"] = ("application/pdf", false),
        [".epub"] = ("application/epub+zip", false),
        [".rtf"] = ("application/rtf", true),
        [".zip"] = ("application/zip", false),
        [".gz"] = ("application/gzip", false),
        [".tgz"] = ("application/gzip", false),
        [".br"] = (Binary, false),
        [".bz2"] = ("application/x-bzip2", false),
        [".xz"] = ("application/x-xz", false),
        [".zst"] = ("application/zstd", false),
        [".7z"] = ("application/x-7z-compressed", false),
        [".tar"] = ("application/x-tar", true),
        [".jar"] = ("application/java-archive", false),
        [".apk"] = ("application/vnd.android.package-archive", false),
        [".dmg"] = ("application/x-apple-diskimage", false),
        [".docx"] = ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", false),
        [".xlsx"] = ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", false),
        [".pptx"] = ("application/vnd.openxmlformats-officedocument.presentationml.presentation", false),
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenDictionary<string, string> ByName = new Dictionary<string, string>
    {
        ["apple-app-site-association"] = "application/json; charset=utf-8",
        ["CNAME"] = "text/plain; charset=utf-8",
        ["LICENSE"] = "text/plain; charset=utf-8",
        ["README"] = "text/plain; charset=utf-8",
    }.ToFrozenDictionary();

    public static (string Type, bool Shrinks) Of(string path)
    {
        if (ByExtension.TryGetValue(Path.GetExtension(path), out var known))
            return known;
        return ByName.TryGetValue(Path.GetFileName(path), out var type) ? (type, true) : (Binary, false);
    }
}
