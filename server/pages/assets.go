package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
)

//go:embed assets
var assets embed.FS

// asset is one embedded file, named by its content so that browsers may keep it for good.
type asset struct {
	body []byte
	mime string
	tag  string // "3f9a0c12"
}

var byName = loadAssets()

func loadAssets() map[string]asset {
	files, err := assets.ReadDir("assets")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	loaded := map[string]asset{}
	for _, f := range files {
		body, err := assets.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		loaded[f.Name()] = asset{body, mime.TypeByExtension(path.Ext(f.Name())), hex.EncodeToString(sum[:4])}
	}
	return loaded
}

func assetURL(name string) string { return "/assets/" + name + "?v=" + byName[name].tag }

// ServeAsset answers /assets/{file}.
func ServeAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := byName[path.Base(r.URL.Path)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.mime)
	if r.URL.Query().Get("v") == a.tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	w.Write(a.body)
}
